/* What is explored: small programs over the library's own code, each in a world of its own. */
#ifndef WEFT_TESTS_SCENARIO_H
#define WEFT_TESTS_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

struct scenario {
	const char *name;
	void (*main)(void);
	unsigned departures; /* the bound in ctest; SCHED_UNBOUNDED: none */
	unsigned soak;       /* and by hand */
	int64_t late_us; /* of virtual time, that no execution may take but with timeouts; 0: no bound */
	bool is_canary; /* has a fault, which must be found */
};

extern const struct scenario scenarios_of_parts[];   /* gates, queues, pollers by themselves */
extern const struct scenario scenarios_of_socks[];   /* sockets of a whole stack */
extern const struct scenario scenarios_of_cancels[]; /* and threads that are cancelled */
extern const struct scenario scenarios_of_dgrams[];  /* datagrams, and memory that is short */
extern const struct scenario scenarios_of_handles[];
extern const struct scenario scenarios_with_faults[];

#endif
