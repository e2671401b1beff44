import Glibc
import PGWire

/// Writes one JSON event a line, to a file (`file`) or to standard output (`stdout`).
///
/// Lines gather in memory in pieces; a job on the I/O worker writes one and, for a file, fsyncs it:
/// only then are its lines acknowledged. Standard output counts as delivered when written
/// completely.
final class LineSink: Sink {
  /// Lines that are written at once, with what is to be reported then.
  private struct Piece {
    var lines: [UInt8] = []
    var receipts: [DeliveryReceipt] = []
  }

  private let output: LineOutput
  /// What reads records that are no lines; nil where they are some.
  private let list: SchemaList?
  /// Pieces that are large enough and wait behind the one that is being written.
  private var waiting: [Piece] = []
  private var gathered = Piece()
  private var writing: [DeliveryReceipt]?
  private var durable: [DeliveryReceipt] = []
  private var failure: StreamerError?
  private let wake: EventDescriptor

  /// Writes to the file at `path`, or to standard output without one.
  ///
  /// A file larger than `rotateSize` bytes is renamed to `path.N` and begun anew.
  convenience init(
    path: String?, rotateSize: Int?, mode: mode_t = 0o600, list: SchemaList? = nil
  ) throws(StreamerError) {
    if let path {
      try self.init(LineOutput(.file(LineFile(path: path, rotateSize: rotateSize, mode: mode))))
    } else {
      try self.init(LineOutput(.standardOutput(StandardOutput())), list)
    }
  }

  /// Writes to an output of its own.
  init(_ output: LineOutput, _ list: SchemaList? = nil) throws(StreamerError) {
    wake = try EventDescriptor()
    self.output = output
    self.list = list
  }

  var eventDescriptor: CInt? { wake.descriptor }

  func open() throws(StreamerError) { try output.open() }

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      // SAFETY: the pointer does not leave the closure.
      unsafe batch.withParts(of: entry) { _, value in
        if let list, let place = entry.value {
          gathered.lines.append(contentsOf: list.line(of: batch.bytes.bytes(place)))
        } else if let value = unsafe value {
          unsafe gathered.lines.append(contentsOf: value)
        } else {
          gathered.lines.append(contentsOf: "null".utf8)
        }
      }
      gathered.lines.append(UInt8(ascii: "\n"))
      gathered.receipts.count(entry)
      // One array for all that is in flight would be copied each time that it doubles.
      if gathered.lines.count >= Limits.linePieceBytes {
        waiting.append(gathered)
        gathered = Piece()
        gathered.lines.reserveCapacity(Limits.linePieceBytes + Limits.lineBlockBytes)
      }
    }
  }

  func durabilityJob() -> (@Sendable () -> StreamerError?)? {
    guard writing == nil, failure == nil, !output.isClosed else { return nil }
    if waiting.isEmpty {
      guard !gathered.lines.isEmpty else { return nil }
      // The job's memory goes with it, so that a burst leaves nothing behind.
      waiting = [gathered]
      gathered = Piece()
    }
    let piece = waiting.removeFirst()
    writing = piece.receipts
    return { [output] in output.write(piece.lines) }
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
