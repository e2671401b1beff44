// Linux system calls that Swift's Glibc module lacks. _GNU_SOURCE stays in the .c file: in a
// header it would change fd_set and break the import of other C modules.
#ifndef CLINUX_H
#define CLINUX_H
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/types.h>

/// The data field of an epoll event as an integer: the union is awkward in Swift.
static inline uint64_t clinux_epoll_data(const struct epoll_event *event) {
  return event->data.u64;
}
static inline struct epoll_event clinux_epoll_event(uint32_t events, uint64_t data) {
  struct epoll_event event;
  event.events = events;
  event.data.u64 = data;
  return event;
}
/// getrandom(2): fills the buffer or returns -1 with errno.
int clinux_random(void *buffer, size_t length);
/// ppoll(2): waits, to the nanosecond, until one of two descriptors can be read, of which the second
/// may be negative for none; whether the second can. struct pollfd stays in the .c file, as above.
int clinux_wait(int first, int second, int64_t nanoseconds);
/// fallocate(2) that gives a range of a file back to the disk and leaves its length.
int clinux_punch_hole(int descriptor, off_t offset, off_t length);
/// mallopt(3): a block of at least so many bytes is mapped by itself and unmapped when it is freed.
///
/// Left alone, the first large block that is freed moves the bound up to 32 MiB for good.
void clinux_map_large_blocks(int size);
/// SO_PEERCRED: the user at the other end of a Unix socket; -1 with errno.
int clinux_peer_user(int descriptor, uid_t *user);
/// pthread_setname_np for the calling thread; names are cut at 15 bytes.
void clinux_name_thread(const char *name);
#endif
