// Stands in for the allocator of the whole test program, glibc's functions behind it, and counts
// what one thread asks for while it wants to know. Linked into tests only.
#include "AllocationCounter.h"

#include <errno.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif

static __thread bool counting;
static __thread uint64_t count;

void allocation_counter_start(void) {
  count = 0;
  counting = true;
}

uint64_t allocation_counter_stop(void) {
  counting = false;
  return count;
}

#ifdef UNDER_SANITIZER

bool allocation_counter_works(void) { return false; }

#else

bool allocation_counter_works(void) { return true; }

// glibc's own names of its allocator: no look-up that could itself allocate.
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) {
  if (counting) count++;
  return __libc_malloc(size);
}

void *calloc(size_t members, size_t size) {
  if (counting) count++;
  return __libc_calloc(members, size);
}

void *realloc(void *memory, size_t size) {
  if (counting) count++;
  return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  if (counting) count++;
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
  if (counting) count++;
  void *result = __libc_memalign(alignment, size);
  if (result == NULL) return ENOMEM;
  *memory = result;
  return 0;
}

#endif
