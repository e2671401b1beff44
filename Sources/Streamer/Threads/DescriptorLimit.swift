import Glibc

/// How many descriptors the process may have open.
enum DescriptorLimit {
  /// Raises the limit to what the system allows this process: each source and sink takes some, and
  /// each connection one.
  static func raise() {
    var limit = rlimit()
    let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard unsafe getrlimit(kind, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    // Where that is refused the limit stays as it was, which is no worse.
    _ = unsafe setrlimit(kind, &limit)
  }
}
