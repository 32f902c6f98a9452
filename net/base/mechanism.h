/*
 * Switches for the mutation check (tests/mutation/check.py, docs/MUTANTS.md).  A place where a
 * mechanism decides asks MECHANISM(name): true, and no code, in every build but the check's own
 * (CMake option WEFT_MUTANTS), where the environment's WEFT_MUTANT names the one that is switched
 * off.  Some test has to notice.  Any level, any thread, no lock.
 */
#ifndef WEFT_BASE_MECHANISM_H
#define WEFT_BASE_MECHANISM_H

#include <stdbool.h>

#ifdef WEFT_MUTANTS
bool mechanism_on(const char *name);
#define MECHANISM(name) mechanism_on(#name)
#else
#define MECHANISM(name) true
#endif

#endif
