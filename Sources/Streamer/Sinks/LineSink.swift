import Glibc
import PGWire

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
  convenience init(
    path: String?, rotateSize: Int?, mode: mode_t = 0o600
  ) throws(StreamerError) {
    if let path {
      try self.init(LineOutput(.file(LineFile(path: path, rotateSize: rotateSize, mode: mode))))
    } else {
      try self.init(LineOutput(.standardOutput(StandardOutput())))
    }
  }

  /// Writes to an output of its own.
  init(_ output: LineOutput) throws(StreamerError) {
    wake = try EventDescriptor()
    self.output = output
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
      gatheredReceipts.count(entry)
    }
  }

  func durabilityJob() -> (@Sendable () -> StreamerError?)? {
    guard writing == nil, failure == nil, !gathered.isEmpty, !output.isClosed else { return nil }
    let lines = gathered
    // The job's memory goes with it, so that a burst leaves nothing behind.
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
    if !output.isClosed {
      for receipt in durable { report(receipt) }
    }
    durable = []
    if let failure { throw failure }
  }

  func abandon() { output.abandon() }

  func close(within: Duration) { output.close() }
}

extension [DeliveryReceipt] {
  /// Counts one record more: records of one transaction that follow each other are one receipt.
  mutating func count(_ entry: RecordBatch.Entry) {
    if let last = indices.last, self[last].ticket == entry.ticket {
      self[last].count += 1
      self[last].bytes += entry.size
    } else {
      append(DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size))
    }
  }
}
