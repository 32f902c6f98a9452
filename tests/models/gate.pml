/*
 * The gate in front of memory (net/base/gate.h, sock_wait_memory): senders that find none sleep, and
 * every buffer that comes back opens the gate for one of them, who opens for the next when something
 * is left.
 *
 * Nobody sleeps for ever while there is a buffer.  Each BROKEN_... must be found.
 */
#define SENDERS 3

byte room = 0;    /* buffers that are free */
byte inside = 0;
byte turn = 0;
bool mu = false;
bool asleep[SENDERS];

inline lock() { atomic { !mu -> mu = true } }
inline unlock() { mu = false }

inline open_one()
{
	if
	:: inside > 0 ->
		lock();
		turn++;
		atomic {
			if
			:: asleep[0] -> asleep[0] = false
			:: asleep[1] -> asleep[1] = false
			:: asleep[2] -> asleep[2] = false
			:: else -> skip
			fi
		};
		unlock()
	:: else -> skip
	fi
}

/* A buffer from the pool, if there is one. */
inline take(got)
{
	atomic {
		got = room > 0;
		if
		:: got -> room--
		:: else -> skip
		fi
	}
}

proctype sender(byte me; bool gives_up)
{
	bool got = false, again = false, has_room = false;
	byte ticket = 0;

	do
	:: take(got);
		if
		:: got -> break
		:: else -> skip
		fi;
#ifndef BROKEN_ENTER
		lock();
		ticket = turn;
		inside++;
		unlock();
		has_room = room > 0;
#else
		/* Looks first and enters then. */
		has_room = room > 0;
		lock();
		ticket = turn;
		inside++;
		unlock();
#endif
		if
		:: !has_room ->
			lock();
			do
			:: turn == ticket ->
				atomic { asleep[me] = true; unlock() };
end_asleep:
				if
				:: !asleep[me]
				:: gives_up && asleep[me] -> asleep[me] = false
				fi;
				lock();
				if
				:: gives_up -> break
				:: else -> skip
				fi
			:: else -> break
			od;
			unlock()
		:: else -> skip
		fi;
		atomic { inside--; again = true };
		if
		:: gives_up -> break
		:: else -> skip
		fi
	od;
#ifndef BROKEN_PASS
	/* sock_pass_memory, for who slept. */
	if
	:: again && room > 0 -> open_one()
	:: else -> skip
	fi
#endif
}

/* Buffers come back. */
proctype giver(byte n)
{
	do
	:: n > 0 ->
		room++;
		open_one();
		n--
	:: else -> break
	od
}

proctype watch()
{
end:	timeout -> assert(room == 0 || (!asleep[0] && !asleep[1] && !asleep[2]))
}

init {
	atomic {
		run sender(0, false);
		run sender(1, false);
#ifdef GIVES_UP
		run sender(2, true);
#else
		run sender(2, false);
#endif
		run giver(1);
		run giver(1);
		run watch()
	}
}
