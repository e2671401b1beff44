import Glibc
import PGWire
import Synchronization

/// Writes one JSON event a line, to a file (`file`) or to standard output (`stdout`).
///
/// Lines gather in memory; a job on the I/O worker writes and, for a file, fsyncs them: only then
/// are they acknowledged. Standard output counts as delivered when written completely.
final class LineSink: Sink {
  private let output: LineOutput
  private var gathered: [UInt8] = []
  private var gatheredReceipts: [DeliveryReceipt] = []
  private var writing: [DeliveryReceipt]?
  private var durable: [DeliveryReceipt] = []
  private var failure: StreamerError?
  private let wake: EventDescriptor

  /// Writes to the file at `path`, or to standard output without one.
  ///
  /// A file larger than `rotateSize` bytes is renamed to `path.N` and begun anew.
  init(path: String?, rotateSize: Int?) throws(StreamerError) {
    wake = try EventDescriptor()
    output = LineOutput(path: path, rotateSize: rotateSize)
  }

  var eventDescriptor: CInt? { wake.descriptor }

  func open() throws(StreamerError) { try output.open() }

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      // SAFETY: the pointer does not leave the closure.
      unsafe batch.withParts(of: entry) { _, value in
        if let value = unsafe value { unsafe gathered.append(contentsOf: value) }
      }
      gathered.append(UInt8(ascii: "\n"))
      if let last = gatheredReceipts.indices.last, gatheredReceipts[last].ticket == entry.ticket {
        gatheredReceipts[last].count += 1
        gatheredReceipts[last].bytes += entry.size
      } else {
        gatheredReceipts.append(DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size))
      }
    }
  }

  func durabilityJob() -> (@Sendable () -> StreamerError?)? {
    guard writing == nil, !gathered.isEmpty else { return nil }
    let lines = gathered
    gathered = []
    writing = gatheredReceipts
    gatheredReceipts = []
    return { [output] in output.write(lines) }
  }

  func durabilityJobEnded(_ error: StreamerError?) {
    if let error { failure = error } else { durable += writing ?? [] }
    writing = nil
    wake.signal()
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    wake.drain()
    if let failure { throw failure }
    for receipt in durable { report(receipt) }
    durable.removeAll(keepingCapacity: true)
  }

  func close(within: Duration) { output.close() }
}

/// The file or standard output behind a ``LineSink``.
// SAFETY: its state is behind the mutex; the jobs that write run one at a time.
final class LineOutput: @unchecked Sendable {
  private struct State {
    var descriptor: CInt = -1
    var size = 0
  }

  private let path: String?
  private let rotateSize: Int?
  private let state = Mutex(State())

  init(path: String?, rotateSize: Int?) {
    self.path = path
    self.rotateSize = rotateSize
  }

  /// Opens the file for appending and cuts it to its last newline: a line that a crash left
  /// unfinished was never acknowledged and comes again.
  func open() throws(StreamerError) {
    try state.withLock { (state) throws(StreamerError) in
      guard let path else {
        state.descriptor = STDOUT_FILENO
        return
      }
      guard state.descriptor < 0 else { return }
      let descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else { throw Self.fault("cannot open \(path)") }
      guard let size = Self.sizeToLastNewline(descriptor), ftruncate(descriptor, size) == 0,
        lseek(descriptor, size, SEEK_SET) == size
      else {
        let fault = Self.fault("cannot prepare \(path)")
        Glibc.close(descriptor)
        throw fault
      }
      state.descriptor = descriptor
      state.size = size
    }
  }

  /// Writes all of `lines` and makes them durable; says what went wrong.
  func write(_ lines: [UInt8]) -> StreamerError? {
    state.withLock { state in
      var written = 0
      while written < lines.count {
        let count = unsafe lines.withUnsafeBytes { buffer in
          // SAFETY: written < count.
          unsafe Glibc.write(
            state.descriptor, buffer.baseAddress.map { unsafe $0 + written }, lines.count - written)
        }
        if count < 0 {
          if errno == EINTR { continue }
          if errno == EAGAIN {
            var poll = pollfd(fd: state.descriptor, events: Int16(POLLOUT), revents: 0)
            _ = unsafe Glibc.poll(&poll, 1, 1000)
            continue
          }
          // Somebody read from a pipe and has gone: no trying again brings him back.
          if errno == EPIPE, path == nil { return .readerGone }
          return Self.fault("cannot write to \(path ?? "standard output")")
        }
        written += count
      }
      guard path != nil else { return nil }
      state.size += lines.count
      guard fsync(state.descriptor) == 0 else { return Self.fault("cannot fsync \(path ?? "")") }
      return rotateIfLarge(&state)
    }
  }

  func close() {
    state.withLock { state in
      if path != nil, state.descriptor >= 0 { Glibc.close(state.descriptor) }
      state.descriptor = -1
    }
  }

  private func rotateIfLarge(_ state: inout State) -> StreamerError? {
    guard let path, let rotateSize, state.size >= rotateSize else { return nil }
    var number = 1
    while unsafe access("\(path).\(number)", F_OK) == 0 { number += 1 }
    guard unsafe rename(path, "\(path).\(number)") == 0 else {
      return Self.fault("cannot rotate \(path)")
    }
    Glibc.close(state.descriptor)
    state.descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    state.size = 0
    return state.descriptor < 0 ? Self.fault("cannot open \(path)") : nil
  }

  private static func sizeToLastNewline(_ descriptor: CInt) -> Int? {
    var end = lseek(descriptor, 0, SEEK_END)
    guard end >= 0 else { return nil }
    var byte: UInt8 = 0
    while end > 0 {
      guard unsafe pread(descriptor, &byte, 1, end - 1) == 1 else { return nil }
      if byte == UInt8(ascii: "\n") { break }
      end -= 1
    }
    return end
  }

  private static func fault(_ what: String) -> StreamerError {
    let why = unsafe String(cString: strerror(errno))
    return StreamerError(
      what: what, why: why, hint: "Mend that; nothing is lost, it goes on where it stood.",
      retryable: true)
  }
}
