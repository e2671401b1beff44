/// The first byte of a message: which kind it is (manual: "Message Formats").
public struct MessageTag: RawRepresentable, Hashable, Sendable {
  /// The byte on the wire.
  public let rawValue: UInt8

  /// Takes any byte; an unknown one is judged where the message is expected.
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable init(_ letter: Unicode.Scalar) { self.rawValue = UInt8(ascii: letter) }

  /// `R`, any of the authentication requests.
  @inlinable public static var authentication: MessageTag { MessageTag("R") }
  /// `K`, process id and key for a CancelRequest.
  @inlinable public static var backendKeyData: MessageTag { MessageTag("K") }
  /// `C`, a command has finished.
  @inlinable public static var commandComplete: MessageTag { MessageTag("C") }
  /// `W`, the connection copies in both directions from now on.
  @inlinable public static var copyBothResponse: MessageTag { MessageTag("W") }
  /// `d`, bytes of a copy.
  @inlinable public static var copyData: MessageTag { MessageTag("d") }
  /// `c`, the end of a copy.
  @inlinable public static var copyDone: MessageTag { MessageTag("c") }
  /// `G`, the server waits for rows of a COPY.
  @inlinable public static var copyInResponse: MessageTag { MessageTag("G") }
  /// `H`, the server sends rows of a COPY.
  @inlinable public static var copyOutResponse: MessageTag { MessageTag("H") }
  /// `D`, one row.
  @inlinable public static var dataRow: MessageTag { MessageTag("D") }
  /// `I`, the query was empty.
  @inlinable public static var emptyQueryResponse: MessageTag { MessageTag("I") }
  /// `E`, an error.
  @inlinable public static var errorResponse: MessageTag { MessageTag("E") }
  /// `v`, the server speaks an older version or lacks options.
  @inlinable public static var negotiateProtocolVersion: MessageTag { MessageTag("v") }
  /// `N`, a notice.
  @inlinable public static var noticeResponse: MessageTag { MessageTag("N") }
  /// `A`, a NOTIFY of another session.
  @inlinable public static var notificationResponse: MessageTag { MessageTag("A") }
  /// `S`, the value of a run-time parameter.
  @inlinable public static var parameterStatus: MessageTag { MessageTag("S") }
  /// `Z`, the server waits for the next command.
  @inlinable public static var readyForQuery: MessageTag { MessageTag("Z") }
  /// `T`, the columns of the rows that follow.
  @inlinable public static var rowDescription: MessageTag { MessageTag("T") }
}

extension MessageTag {
  /// Whether such a message may be longer than ``MessageFrame/shortLimit``.
  @usableFromInline var mayBeLong: Bool {
    switch self {
    case .copyData, .dataRow, .rowDescription, .errorResponse, .noticeResponse,
      .notificationResponse:
      true
    default: false
    }
  }
}

extension MessageTag: CustomStringConvertible {
  /// The letter in quotes, or the byte in hexadecimal when it is no printable ASCII.
  public var description: String {
    (0x21...0x7E).contains(rawValue)
      ? "'\(Character(Unicode.Scalar(rawValue)))'" : "0x" + String(rawValue, radix: 16)
  }
}
