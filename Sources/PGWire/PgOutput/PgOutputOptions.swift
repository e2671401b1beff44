/// What a client asks of the pgoutput plugin at START_REPLICATION (manual: "Logical Streaming
/// Replication Parameters").
///
/// ```
/// proto_version 1 / 2 / 3 / 4     servers from 10 / 14 / 15 / 16
/// publication_names               10
/// messages, binary, streaming     14    streaming wants protocol 2
/// two_phase                       15    and protocol 3
/// origin, streaming 'parallel'    16    'parallel' wants protocol 4
/// ```
/// A server refuses what it does not know, so ``supported(by:)`` comes first: what was left open is
/// chosen, and what was asked for and does not exist is an error that names the remedy.
public struct PgOutputOptions: Hashable, Sendable {
  /// Whether open transactions are sent in chunks before they commit.
  public enum Streaming: String, CaseIterable, Hashable, Sendable {
    /// Every transaction comes whole, at its commit.
    case off
    /// Large ones come in chunks.
    case on
    /// As `on`; Stream Abort says where and when.
    case parallel
  }

  /// Which transactions are sent, by where they were first made.
  public enum Origin: String, CaseIterable, Hashable, Sendable {
    /// All.
    case any
    /// Those made on this server.
    case none
  }

  /// The version of the protocol, 1 to 4; nil for the highest that the server has.
  public var protocolVersion: Int?
  /// The publications' names.
  public var publications: [String]
  /// Whether logical messages are sent; left out before version 14, which lacks them.
  public var messages = true
  /// Whether open transactions come in chunks; nil for `on` where server and protocol have it.
  ///
  /// `parallel` is never chosen by itself: it only adds two fields to Stream Abort.
  public var streaming: Streaming?
  /// Whether prepared transactions are sent when they are prepared.
  ///
  /// Asking for it turns it on for the slot, for good.
  public var twoPhase = false
  /// Which transactions are sent by their origin; nil does not ask.
  public var origin: Origin?
  /// Whether values come in their types' binary format.
  public var binary = false

  /// Makes the options for these publications, everything else as the server has it.
  public init(publications: [String]) { self.publications = publications }

  /// The highest version of the protocol that a server speaks.
  public static func highestProtocol(of server: ServerVersion) -> Int {
    if ServerFeature.parallelStreaming.isAvailable(on: server) { return 4 }
    if ServerFeature.twoPhase.isAvailable(on: server) { return 3 }
    return ServerFeature.streaming.isAvailable(on: server) ? 2 : 1
  }

  /// The same options with everything chosen that was left open.
  ///
  /// Throws ``PGError/unsupported(_:on:)`` when something was asked for that this server lacks, and
  /// ``PGError/options(_:)`` when the version of the protocol does.
  public func supported(by server: ServerVersion) throws(PGError) -> PgOutputOptions {
    var options = self
    let highest = Self.highestProtocol(of: server)
    let version = protocolVersion ?? highest
    guard version >= 1, version <= highest else {
      throw .options(
        "protocol \(version): PostgreSQL \(server) speaks 1 to \(highest). Leave it out for the "
          + "highest")
    }
    options.protocolVersion = version
    func require(_ feature: ServerFeature, protocol least: Int = 1) throws(PGError) {
      try feature.require(on: server)
      guard version >= least else {
        throw .options("\(feature.rawValue) needs protocol \(least), not \(version)")
      }
    }
    options.messages = messages && ServerFeature.logicalMessages.isAvailable(on: server)
    switch streaming {
    case nil: options.streaming = version >= 2 ? .on : .off
    case .off: break
    case .on: try require(.streaming, protocol: 2)
    case .parallel: try require(.parallelStreaming, protocol: 4)
    }
    if twoPhase { try require(.twoPhase, protocol: 3) }
    if binary { try require(.binary) }
    switch origin {
    case nil: break
    // Older servers send all transactions without being asked.
    case .any: if !ServerFeature.originFilter.isAvailable(on: server) { options.origin = nil }
    case .some(.none): try require(.originFilter)
    }
    return options
  }

  /// Names and values in the order in which they are written; what a server does by itself is not
  /// asked for.
  var pairs: [(name: String, value: String)] {
    var pairs = [
      ("proto_version", "\(protocolVersion ?? 1)"),
      ("publication_names", publications.map(ReplicationCommand.identifier).joined(separator: ",")),
    ]
    if messages { pairs.append(("messages", "true")) }
    switch streaming ?? .off {
    case .off: break
    // Servers 14 and 15 take a Boolean.
    case .on: pairs.append(("streaming", "true"))
    case .parallel: pairs.append(("streaming", "parallel"))
    }
    if twoPhase { pairs.append(("two_phase", "true")) }
    if let origin { pairs.append(("origin", origin.rawValue)) }
    if binary { pairs.append(("binary", "true")) }
    return pairs
  }
}
