// Kills its process at a write to the store: preloaded (LD_PRELOAD) into the program by CrashPointTests.
//
// CRASH_ORDER names a file; when it is there it says "CALL FILE MOMENT N": the N-th CALL ("write" or "sync") from
// then on of a file whose path ends with FILE ends the process (SIGKILL). MOMENT is "before" the call, "half" way
// through what a write writes, or "after" it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int count;

// Whether this call is the one, and then its moment.
static int isDue(const char *call, int descriptor, char moment[16]) {
  const char *order = getenv("CRASH_ORDER");
  if (!order || access(order, R_OK) != 0) return 0;
  char link[64], path[512], kind[16], file[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  FILE *text = fopen(order, "r");
  int number = 0;
  int found = text ? fscanf(text, "%15s %63s %15s %d", kind, file, moment, &number) : 0;
  if (text) fclose(text);
  if (found != 4 || strcmp(kind, call) != 0) return 0;
  size_t tail = strlen(file);
  if ((size_t)length < tail || strcmp(path + length - tail, file) != 0) return 0;
  return atomic_fetch_add(&count, 1) + 1 == number;
}

static void crash(void) { kill(getpid(), SIGKILL); }

static ssize_t put(const char *name, int descriptor, const void *bytes, size_t length, off64_t at) {
  ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, name);
  char moment[16];
  if (!isDue("write", descriptor, moment)) return real(descriptor, bytes, length, at);
  if (strcmp(moment, "half") == 0) real(descriptor, bytes, length / 2, at);
  if (strcmp(moment, "after") == 0) real(descriptor, bytes, length, at);
  crash();
  return -1;
}

static int settle(const char *name, int descriptor) {
  int (*real)(int) = dlsym(RTLD_NEXT, name);
  char moment[16];
  if (!isDue("sync", descriptor, moment)) return real(descriptor);
  if (strcmp(moment, "after") == 0) real(descriptor);
  crash();
  return -1;
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t at) {
  return put("pwrite64", descriptor, bytes, length, at);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t at) {
  return put("pwrite", descriptor, bytes, length, at);
}

int fsync(int descriptor) { return settle("fsync", descriptor); }

int fdatasync(int descriptor) { return settle("fdatasync", descriptor); }
