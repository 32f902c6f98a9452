/* The clock of a stack that was given none: CLOCK_MONOTONIC.  It sleeps without the help of 'wait'. */
#ifndef WEFT_API_CLOCK_H
#define WEFT_API_CLOCK_H

#include <weft/weft.h>

extern const struct weft_clock clock_default;

#endif
