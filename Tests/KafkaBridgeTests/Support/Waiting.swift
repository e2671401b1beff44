import Glibc

/// Waits until a descriptor is readable, at most 100 ms, so that a lost wake-up only slows a test.
func awaitReadable(_ descriptor: CInt, milliseconds: CInt = 100) {
  var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
  _ = unsafe poll(&waited, 1, milliseconds)
}

/// Whether a descriptor becomes readable within a minute.
func becomesReadable(_ descriptor: CInt) -> Bool {
  var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
  return unsafe poll(&waited, 1, 60_000) == 1
}
