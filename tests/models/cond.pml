/*
 * The condition variable on a futex (net/base/cond.c): who waits counts himself and reads 'turn' under the
 * mutex; who signals moves 'turn' on and wakes, with the mutex or without it; sleepers give up.
 *
 * No wake-up is lost: when nothing moves any more, nobody sleeps while there is a token.  Each
 * BROKEN_... must be found.
 */
#define TAKERS 3

bool mu = false;
byte tokens = 0;
byte turn = 0;
byte waiters = 0;
bool asleep[TAKERS]; /* in the kernel's queue */
byte woken = 0;      /* times that the kernel was called for */

inline lock() { atomic { !mu -> mu = true } }
inline unlock() { mu = false }

/* FUTEX_WAIT: compares and enters in one step. */
inline futex_wait(me, seen)
{
	atomic {
		if
		:: turn == seen -> asleep[me] = true
		:: else -> skip
		fi
	};
end_asleep:
	if
	:: !asleep[me]
#ifdef GIVES_UP
	:: atomic { asleep[me] && me == 0 -> asleep[me] = false; gives_up = true }
#endif
	fi
}

/* FUTEX_WAKE: one of those who sleep, whoever came last, too. */
inline futex_wake()
{
	atomic {
		if
		:: asleep[0] -> asleep[0] = false
		:: asleep[1] -> asleep[1] = false
		:: asleep[2] -> asleep[2] = false
		:: else -> skip
		fi;
		woken++
	}
}

inline signal()
{
	if
	:: waiters > 0 ->
#ifndef BROKEN_TURN
		turn++;
#endif
		futex_wake()
	:: else -> skip
	fi
}

/* With the mutex, which it gives up and takes again. */
inline wait(me, seen)
{
#ifdef BROKEN_COUNT
	/* Counts himself when the signaller may have looked already. */
	seen = turn;
	unlock();
	waiters++;
#else
#ifdef BROKEN_LOOK
	/* Reads 'turn' when it may have moved on for him already. */
	waiters++;
	unlock();
	seen = turn;
#else
	waiters++;
	seen = turn;
	unlock();
#endif
#endif
	futex_wait(me, seen);
	waiters--;
	lock()
}

proctype taker(byte me)
{
	byte seen = 0;
	bool gives_up = false;

	lock();
	do
	:: tokens > 0 && !gives_up -> tokens--; break
	:: gives_up -> break
	:: tokens == 0 && !gives_up -> wait(me, seen)
	od;
	unlock()
}

/* A token, and a signal behind the unlock or before it. */
proctype giver(bool is_late)
{
	lock();
	tokens++;
	if
	:: is_late -> unlock(); signal()
	:: else -> signal(); unlock()
	fi
}

proctype watch()
{
end:	timeout -> assert(tokens == 0 || (!asleep[0] && !asleep[1] && !asleep[2]));
	/* Never more calls than signals: with nobody there none is made. */
	assert(woken <= 3)
}

init {
	atomic {
		run taker(0);
		run taker(1);
		run taker(2);
		run giver(true);
		run giver(true);
		run giver(false);
		run watch()
	}
}
