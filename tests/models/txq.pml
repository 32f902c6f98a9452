/*
 * The TX queue and the emitter's role (net/stack/txq.c, tx.c): threads change a connection and ask for
 * a visit, quietly with an offer to help or aloud; one has the role at a time; the TX thread sleeps.
 *
 * No request is lost: when nothing moves any more, every change of a connection was served.  A
 * connection stands in the queue at most once.  Each BROKEN_... must be found.
 */
#define CONNS  2
#define ROUNDS 2 /* TX_HELP_ROUNDS */

bool sock_lock[CONNS];
bool dirty[CONNS];     /* changed, and not served since */
bool requested[CONNS];
bool standing[CONNS];  /* in the queue, or taken and not served yet */
bool taken[CONNS];     /* by whoever has the role */

bool q_lock = false;
bool urgent = false;
bool is_asleep = false; /* the TX thread says so */
bool in_cond = false;   /* it is */
bool role = false;

inline lock(m) { atomic { !m -> m = true } }
inline unlock(m) { m = false }

inline wake()
{
	if
	:: is_asleep -> is_asleep = false; in_cond = false
	:: else -> skip
	fi
}

/* Somebody changes the connection under its lock and asks; 'quiet': he helps afterwards. */
inline change(c, quiet, before)
{
	lock(sock_lock[c]);
	dirty[c] = true;
	atomic { before = requested[c]; requested[c] = true };
	if
	:: before -> skip
	:: else ->
		lock(q_lock);
		assert(!standing[c]);
		standing[c] = true;
		urgent = true;
		if
		:: quiet -> skip
		:: else -> wake()
		fi;
		unlock(q_lock)
	fi;
	unlock(sock_lock[c])
}

/* With the role: takes all that waits, and serves one after the other. */
inline serve(c)
{
	lock(q_lock);
	d_step {
		taken[0] = standing[0];
		taken[1] = standing[1];
		urgent = false
	};
	unlock(q_lock);
	c = 0;
	do
	:: c < CONNS && taken[c] ->
		taken[c] = false;
#ifndef BROKEN_SERVE
		standing[c] = false;
		requested[c] = false;
		lock(sock_lock[c]);
		dirty[c] = false;
#else
		/* The flag is cleared behind the visit: a change in between is taken for served. */
		lock(sock_lock[c]);
		dirty[c] = false;
		unlock(sock_lock[c]);
		standing[c] = false;
		requested[c] = false;
		lock(sock_lock[c]);
#endif
		unlock(sock_lock[c]);
		c++
	:: c < CONNS && !taken[c] -> c++
	:: c == CONNS -> break
	od
}

/* Without the lock; what spin takes for granted, one order of all reads and writes, is txq_pending's barrier. */
inline pending(p)
{
	p = urgent
}

inline help(c, round, p, mine)
{
	round = 0;
	do
	:: round < ROUNDS ->
		pending(p);
		if
		:: !p -> goto helped
		:: else -> skip
		fi;
		atomic {
			mine = !role;
			role = true
		};
		if
		:: !mine -> goto helped
		:: else -> skip
		fi;
		serve(c);
		unlock(role);
#ifdef BROKEN_HELP
		/* Without another look: what came while the role was held is left. */
		goto helped;
#endif
		round++
	:: else -> break
	od;
	pending(p);
	if
	:: !p -> goto helped
	:: else -> skip
	fi;
	lock(q_lock);
	if
	:: urgent -> wake()
	:: else -> skip
	fi;
	unlock(q_lock);
helped:	skip
}

proctype quiet_changer(byte which)
{
	byte c = 0, round = 0;
	bool p = false, mine = false, before = false;

	change(which, true, before);
	help(c, round, p, mine)
}

proctype loud_changer(byte which)
{
	bool before = false;

	change(which, false, before)
}

proctype tx_thread()
{
	byte c = 0;

end:	do
	:: lock(q_lock);
		do
		:: !urgent ->
			is_asleep = true;
			atomic { in_cond = true; unlock(q_lock) };
end_sleep:		!in_cond;
			lock(q_lock);
			is_asleep = false
		:: else -> break
		od;
		unlock(q_lock);
		lock(role);
		serve(c);
		unlock(role)
	od
}

proctype watch()
{
end:	timeout -> assert(!dirty[0] && !dirty[1])
}

init {
	atomic {
		run tx_thread();
		run quiet_changer(0);
		run quiet_changer(0);
		run quiet_changer(1);
#ifdef LOUD
		run loud_changer(0);
#endif
		run watch()
	}
}
