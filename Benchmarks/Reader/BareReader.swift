import Glibc
import PGWire

/// Drains a slot and throws everything away: connection, stream and framing, and nothing else.
///
///     bench-reader CONNINFO SLOT PUBLICATION UNTIL [calm | MICROSECONDS]
///
/// It ends when the server has sent everything before the position UNTIL, and prints one line: the
/// seconds from START_REPLICATION on, its own CPU seconds and the walsender's, the reads that found
/// something, and bytes. The last argument is for comparison with the pace of ``ReadPace``: `calm` is
/// a reader that the first byte always wakes, a number is one fixed pause between two reads.
struct BareReader: ~Copyable {
  /// When the socket is read.
  enum Pace {
    /// As the stream's own pace says.
    case own
    /// As soon as there is something.
    case calm
    /// Every so often.
    case fixed(Duration)
  }

  /// What framing has seen.
  private struct Progress {
    var messages = 0
    var isDone = false
  }

  private var stream: ReplicationStream
  private let target: LSN
  private let pace: Pace

  private init(_ stream: consuming ReplicationStream, until target: LSN, pace: Pace) {
    self.stream = stream
    self.target = target
    self.pace = pace
  }

  private var bytes = 0
  private var reads = 0
  private var progress = Progress()

  /// Reads the arguments, drains the slot, prints, and says how the process is to end.
  static func run(_ arguments: [String]) -> CInt {
    guard arguments.count == 5 || arguments.count == 6, let target = LSN(arguments[4]),
      let pace = pace(arguments.count == 6 ? arguments[5] : nil)
    else {
      complain("usage: bench-reader CONNINFO SLOT PUBLICATION UNTIL [calm | MICROSECONDS]")
      return 2
    }
    signal(SIGPIPE, SIG_IGN)
    do {
      var connection = try Connection.open(
        ConnectionParameters(ConnectionString(arguments[1])), replication: true)
      let walsender = connection.backendProcessID
      let streams = connection.serverVersion.major >= 14
      let begin = ContinuousClock.now
      try connection.startCopyBoth(
        "START_REPLICATION SLOT \"\(arguments[2])\" LOGICAL 0/0 (proto_version "
          + "'\(streams ? 2 : 1)', publication_names '\(arguments[3])'"
          + (streams ? ", streaming 'on')" : ")"))
      var reader = BareReader(ReplicationStream(connection), until: target, pace: pace)
      try reader.drain()
      let seconds = (ContinuousClock.now - begin) / .seconds(1)
      print(
        "seconds=\(seconds) cpu=\(ownTime()) walsender=\(time(of: walsender)) "
          + "reads=\(reader.reads) messages=\(reader.progress.messages) bytes=\(reader.bytes)")
      reader.close()
      return 0
    } catch {
      complain("bench-reader: \(error)")
      return 1
    }
  }

  private static func complain(_ text: String) {
    var line = text + "\n"
    // SAFETY: the bytes live for the call.
    _ = line.withUTF8 { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  private static func pace(_ text: String?) -> Pace? {
    guard let text else { return .own }
    if text == "calm" { return .calm }
    return Int(text).map { .fixed(.microseconds($0)) }
  }

  private mutating func drain() throws {
    while !progress.isDone {
      wait()
      var count = 0
      repeat {
        count += try stream.receive(now: .now)
        let consumed = try Self.take(stream.received, until: target, &progress)
        stream.consume(consumed)
      } while stream.hasPending
      bytes += count
      if count > 0 { reads += 1 }
    }
  }

  /// Frames what was received; only keepalives are looked at.
  private static func take(
    _ window: RawSpan, until target: LSN, _ progress: inout Progress
  ) throws(DecodingError) -> Int {
    var offset = 0
    while case .complete(let frame) = try MessageFrame.scan(window, at: offset) {
      offset = frame.end
      progress.messages += 1
      guard frame.tag == .copyData, window[frame.body.lowerBound] == UInt8(ascii: "k") else {
        continue
      }
      let message = try ReplicationMessage(window.extracting(frame.body))
      if case .keepalive(let end, _, _) = message, end >= target { progress.isDone = true }
    }
    return offset
  }

  private func wait() {
    switch pace {
    case .fixed(let pause): Self.sleep(pause)
    case .calm: waitForBytes()
    case .own:
      if let readBy = stream.pace.readBy {
        Self.sleep(readBy - .now)
      } else {
        waitForBytes()
      }
    }
  }

  private func waitForBytes() {
    var request = pollfd(fd: stream.descriptor, events: Int16(POLLIN), revents: 0)
    _ = unsafe poll(&request, 1, 1000)
  }

  private static func sleep(_ pause: Duration) {
    guard pause > .zero else { return }
    let (seconds, attoseconds) = pause.components
    var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    _ = unsafe nanosleep(&time, nil)
  }

  private consuming func close() { stream.close(within: .seconds(10)) }

  // MARK: - Processor time

  private static func ownTime() -> Double {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// The processor time of another process on this machine; 0 when it runs elsewhere.
  private static func time(of process: Int32?) -> Double {
    guard let process else { return 0 }
    var clock = clockid_t()
    guard unsafe clock_getcpuclockid(process, &clock) == 0 else { return 0 }
    var time = timespec()
    guard unsafe clock_gettime(clock, &time) == 0 else { return 0 }
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
