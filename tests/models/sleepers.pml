/*
 * Who sleeps for a socket and who wakes him (net/stack/sock_wait.c): readers that wait for different
 * numbers of bytes, one signal for those who are alike, signals that are given without the lock, and
 * readers that give up.
 *
 * No wake-up is lost: when nothing moves any more, no reader sleeps who would find what he waits for.
 * Each BROKEN_... leaves out a part of the protocol, and the search must find the fault.
 */
#ifndef READERS
#define READERS 3
#endif
#define NEVER 15 /* UINT32_MAX */
#define NONE  0
#define ONE   1
#define ALL   2

bool locked = false;
byte bytes = 0;        /* in the receive queue */
bool closed = false;
byte need = NEVER;     /* sleepers.need */
byte count = 0;        /* sleepers.count */
bool is_mixed = false;
bool is_called = false;
byte wakes = NONE;     /* sleepers.wakes: noted */
bool asleep[READERS];  /* in the condition variable */
byte wants[READERS];

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

/* The condition variable. */
inline signal_all()
{
	d_step {
		i = 0;
		do
		:: i < READERS -> asleep[i] = false; i++
		:: else -> break
		od;
		i = 0
	}
}

/* One of those who sleep, any: which one is not the waker's to say. */
inline signal_one()
{
	atomic {
		if
		:: asleep[0] -> asleep[0] = false
		:: asleep[1] -> asleep[1] = false
#if READERS > 2
		:: asleep[2] -> asleep[2] = false
#endif
		:: else -> skip
		fi
	}
}

inline act(w)
{
	if
	:: w == ALL -> signal_all()
	:: w == ONE -> signal_one()
	:: else -> skip
	fi
}

/* ---- Under the lock. ---- */

inline forget_needs() { need = NEVER; is_mixed = false }

inline note_need(n)
{
	if
	:: need != NEVER && n != need -> is_mixed = true
	:: else -> skip
	fi;
	if
	:: n < need -> need = n
	:: else -> skip
	fi
}

inline wake_everybody()
{
	forget_needs();
	if
	:: count > 0 -> wakes = ALL
	:: else -> skip
	fi
}

inline wake_one()
{
	if
	:: is_mixed -> wake_everybody()
	:: !is_mixed && count > 0 && !is_called ->
		is_called = true;
		if
		:: wakes == NONE -> wakes = ONE
		:: else -> skip
		fi
	:: else -> skip
	fi
}

inline wake_readers()
{
	if
	:: count == 0 -> skip
	:: count > 0 && closed -> wake_everybody()
	:: count > 0 && !closed && bytes >= need -> wake_one()
	:: else -> skip
	fi
}

inline pass_readers()
{
#ifndef BROKEN_PASS
	if
	:: count > 0 && !closed -> wake_readers()
	:: else -> skip
	fi
#else
	skip
#endif
}

/* sock_unlock: takes the note out, and acts on it without the lock. */
inline sock_unlock(w)
{
	w = wakes;
	wakes = NONE;
	unlock();
	act(w);
	w = NONE
}

inline before_sleep(n, w)
{
#ifndef BROKEN_BEFORE
	if
	:: need != NEVER && n != need && bytes >= need -> wake_everybody()
	:: else -> skip
	fi;
#endif
	w = wakes;
	wakes = NONE;
	act(w);
	w = NONE
}

/* ---- Threads. ---- */

proctype reader(byte me)
{
	byte w = NONE, i = 0;
	bool gives_up = false;

	lock();
	do
	:: closed -> break
	:: !closed && bytes >= wants[me] ->
		bytes = bytes - wants[me];
		break
	:: !closed && bytes < wants[me] && gives_up -> break
	:: else ->
		before_sleep(wants[me], w);
		note_need(wants[me]);
		count++;
		atomic { asleep[me] = true; unlock() };
end_asleep:
		if
		:: !asleep[me]
#ifdef GIVES_UP
		:: asleep[me] -> atomic { asleep[me] = false; gives_up = true }
#endif
		fi;
		lock();
		count--;
		is_called = false;
		if
		:: count == 0 -> forget_needs()
		:: else -> skip
		fi
	od;
	pass_readers();
	sock_unlock(w)
}

proctype writer(byte rounds)
{
	byte w = NONE, i = 0;

	do
	:: rounds > 0 ->
		lock();
		bytes++;
		wake_readers();
		sock_unlock(w);
		rounds--
	:: else -> break
	od
}

proctype closer()
{
	byte w = NONE, i = 0;

	lock();
	closed = true;
	wake_everybody();
	sock_unlock(w)
}

/* Runs when nothing else can. */
proctype watch()
{
	byte i = 0;
end:
	timeout ->
	do
	:: i < READERS ->
		assert(!asleep[i] || (bytes < wants[i] && !closed));
		i++
	:: else -> break
	od
}

init {
	byte i = 0;

	atomic {
		do
		:: i < READERS ->
			if
			:: wants[i] = 1
			:: wants[i] = 2
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < READERS -> run reader(i); i++
		:: else -> break
		od;
		run writer(2);
		run writer(1);
#ifdef CLOSES
		run closer();
#endif
		run watch()
	}
}
