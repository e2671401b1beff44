/// A schema registry that fails as it is told: `Tests/Registry/registry`.
public final class ScriptedRegistry: Sendable {
  /// Where it listens on 127.0.0.1.
  public let port: Int
  private let script: String
  private let process: Subprocess

  /// Starts one, on a port of its own unless it is to stand where another one stood.
  ///
  /// - Throws: `SupportError` when it does not start.
  public init(port: Int? = nil) throws {
    let port = try port ?? FreePort.take()
    self.port = port
    script = "\(Binary.project)/Tests/Registry/registry"
    process = try Subprocess("python3", [script, "\(port)"])
    let process = process
    try eventually(within: .seconds(30), "the scripted registry") {
      guard process.isRunning else { throw SupportError(process.standardError) }
      return process.standardOutput.contains("ready")
    }
  }

  /// Its address.
  public var url: String { "http://127.0.0.1:\(port)" }

  /// Tells it how to answer from now on; nothing answers as a registry does.
  ///
  /// - Throws: `SupportError` when it cannot be told.
  public func answer(_ rules: String...) throws {
    try Subprocess.check("python3", [script, "\(port)", "[\(rules.joined(separator: ","))]"])
  }

  /// Ends it.
  ///
  /// - Throws: `SupportError` when it does not end.
  public func stop() throws {
    process.send(9)
    try process.wait()
  }
}

/// Reads Avro with Python's fastavro: `Tests/Registry/read-avro`.
public enum AvroReader {
  /// Whether it can.
  public static let isThere = runs("read-avro")
  /// Whether `Tests/Registry/read-topic` can read topics as Confluent's deserialisers do.
  public static let readsTopics = runs("read-topic")

  fileprivate static func runs(_ reader: String) -> Bool {
    let output = try? Subprocess.run(
      "python3", ["\(Binary.project)/Tests/Registry/\(reader)"], input: "")
    return output?.termination == .exited(0)
  }

  /// Each value as JSON.
  ///
  /// - Throws: `SupportError` for bytes that are none of their schema's.
  public static func values(_ records: [(schema: String, bytes: [UInt8])]) throws -> [String] {
    try values(records, by: "read-avro")
  }

  fileprivate static func values(
    _ records: [(schema: String, bytes: [UInt8])], by reader: String
  ) throws -> [String] {
    let lines = records.map { record in
      let digits = record.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      return #"{"schema":\#(quoted(record.schema)),"bytes":"\#(digits)"}"#
    }
    let output = try Subprocess.check(
      "python3", ["\(Binary.project)/Tests/Registry/\(reader)"],
      input: lines.joined(separator: "\n") + "\n")
    return output.split(separator: "\n").map(String.init)
  }

  private static func quoted(_ text: String) -> String {
    "\""
      + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
      .replacing("\n", with: "\\n") + "\""
  }
}

/// Reads Protobuf with protoc and Google's own library: `Tests/Registry/read-protobuf`.
public enum ProtobufReader {
  /// Whether it can.
  public static let isThere = AvroReader.runs("read-protobuf")

  /// Each value as JSON; it has to be what other writers would write.
  ///
  /// - Throws: `SupportError` for schemas that protoc does not take, and for bytes that are none of
  ///   their schema's.
  public static func values(_ records: [(schema: String, bytes: [UInt8])]) throws -> [String] {
    try AvroReader.values(records, by: "read-protobuf")
  }
}
