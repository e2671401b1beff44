import Glibc

/// The process's own metrics, under the names that Prometheus' clients share.
///
/// They are read from /proc when somebody asks, so they cost nothing in between.
struct ProcessMetrics: Sendable {
  private let cpuSeconds: Gauge
  private let residentBytes: Gauge
  private let openDescriptors: Gauge

  /// Looks up the handles, and sets what never changes: the start and the product's version.
  init(_ metrics: Metrics, version: String, startedAt start: UTCTime = .now) {
    cpuSeconds = metrics.fractionalCounter(
      "process_cpu_seconds_total", "User and system time of the process.")
    residentBytes = metrics.gauge(
      "process_resident_memory_bytes", "Memory of the process that is in RAM.")
    openDescriptors = metrics.gauge("process_open_fds", "Open file descriptors.")
    metrics.gauge("process_start_time_seconds", "When the process started, since 1970.")
      .set(Double(start.microseconds) / 1_000_000)
    metrics.gauge("psql_streamer_build_info", "Always 1.", [("version", version)]).set(1)
  }

  /// Reads the values anew.
  func update() {
    var usage = rusage()
    if unsafe getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
      cpuSeconds.set(Self.seconds(usage.ru_utime) + Self.seconds(usage.ru_stime))
    }
    if let pages = Self.residentPages() { residentBytes.set(pages * sysconf(CInt(_SC_PAGESIZE))) }
    if let count = Self.descriptors() { openDescriptors.set(count) }
  }

  private static func seconds(_ time: timeval) -> Double {
    Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000
  }

  /// The second number of /proc/self/statm.
  private static func residentPages() -> Int? {
    let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 128)
    let count = unsafe read(descriptor, &bytes, bytes.count)
    let words = String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self).split(separator: " ")
    return words.count > 1 ? Int(words[1]) : nil
  }

  private static func descriptors() -> Int? {
    guard let directory = unsafe opendir("/proc/self/fd") else { return nil }
    defer { unsafe closedir(directory) }
    // Not counted: ".", ".." and the descriptor of this listing.
    var count = -3
    while unsafe readdir(directory) != nil { count += 1 }
    return count
  }
}
