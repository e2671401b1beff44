#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

/// Whether allocations can be counted: not under a sanitizer, which needs malloc for itself.
bool allocation_counter_works(void);

/// Begins to count the calling thread's allocations from zero.
void allocation_counter_start(void);

/// Ends counting and gives the number of calls that got memory: malloc, calloc, realloc and those
/// with an alignment.
uint64_t allocation_counter_stop(void);

#endif
