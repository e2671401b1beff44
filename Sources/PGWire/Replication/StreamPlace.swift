/// Where in a replication stream a message lies, for errors: what it is, and how to find it in a
/// recording of the stream.
public struct StreamPlace: Hashable, Sendable {
  /// The message's tag; `d` for CopyData.
  public let tag: MessageTag
  /// What CopyData holds: `w` for XLogData, `k` for a keepalive; nil for other messages.
  public let copyTag: MessageTag?
  /// The tag of the plugin's message inside XLogData; nil when there is none.
  public let pluginTag: MessageTag?
  /// The start position that XLogData gives; nil for other messages.
  ///
  /// It is the change's own position, 0/0 for messages that have none.
  public let lsn: LSN?
  /// Bytes of the stream, from CopyBothResponse on, that came before this message.
  public let streamOffset: UInt64

  /// Looks at a message as far as it can be told what it is; it may be malformed.
  public init(_ tag: MessageTag, _ body: RawSpan, streamOffset: UInt64) {
    self.tag = tag
    self.streamOffset = streamOffset
    let isCopyData = tag == .copyData && body.byteCount > 0
    copyTag = isCopyData ? MessageTag(rawValue: body[0]) : nil
    let payload = ReplicationMessage.payloadOffset
    guard copyTag == .xLogData, body.byteCount >= payload else {
      lsn = nil
      pluginTag = nil
      return
    }
    lsn = LSN((1...8).reduce(0) { $0 << 8 | UInt64(body[$1]) })
    pluginTag = body.byteCount > payload ? MessageTag(rawValue: body[payload]) : nil
  }

  /// A message whose header is malformed, so that nothing but its tag is known.
  public init(header tag: MessageTag, streamOffset: UInt64) {
    self.tag = tag
    self.streamOffset = streamOffset
    copyTag = nil
    pluginTag = nil
    lsn = nil
  }

  /// A message of the plugin that was kept, and is only read now.
  public init(kept payload: RawSpan, at lsn: LSN, streamOffset: UInt64) {
    tag = .copyData
    copyTag = .xLogData
    pluginTag = payload.byteCount > 0 ? MessageTag(rawValue: payload[0]) : nil
    self.lsn = lsn
    self.streamOffset = streamOffset
  }

  /// The innermost message that is known: the offset of a ``DecodingError`` counts from its start.
  ///
  /// A tag alone is not counted where the offset is that of a body.
  public var message: String {
    if let pluginTag { return "pgoutput \(pluginTag)" }
    if lsn != nil { return "empty pgoutput message" }
    if let copyTag { return "CopyData \(copyTag)" }
    return "message \(tag)"
  }
}

extension StreamPlace: CustomStringConvertible {
  /// The message, the position it was sent for, and its place in the stream.
  public var description: String {
    message + (lsn.map { " at \($0)" } ?? "") + ", byte \(streamOffset) of the stream"
  }
}

extension MessageTag {
  /// `w`, inside CopyData: the plugin's message follows.
  fileprivate static var xLogData: MessageTag { MessageTag("w") }
}
