public import PGWire

/// Where the messages of a recorded stream stand in the WAL, for choosing a part of a recording.
///
/// A row's position is its transaction's commit LSN (that of a chunk of an open transaction its own),
/// a keepalive's the WAL end; what has none of its own has that of the message before.
public struct StreamPosition: Hashable, Sendable {
  /// The position of the message that was looked at last.
  public private(set) var lsn = LSN.zero
  private var isInTransaction = false

  /// Makes the position before the first message.
  public init() {}

  /// Looks at the next message.
  public mutating func advance(_ tag: MessageTag, _ body: RawSpan) {
    guard tag == .copyData else { return }
    switch try? ReplicationMessage(body) {
    case .keepalive(let walEnd, _, _): if !isInTransaction { lsn = walEnd }
    case .xLogData(let start, _, let payload):
      var reader = ByteReader(payload)
      switch try? reader.byte() {
      case UInt8(ascii: "B"), UInt8(ascii: "b"):
        isInTransaction = true
        if let commit = try? reader.lsn() { lsn = commit }
      case UInt8(ascii: "C"), UInt8(ascii: "P"): isInTransaction = false
      default: if !isInTransaction, start > .zero { lsn = start }
      }
    case nil: break
    }
  }
}
