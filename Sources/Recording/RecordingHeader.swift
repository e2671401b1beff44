import PGWire

/// The facts of a whole recording.
///
/// ```
/// String program  Int64 start (microseconds since 2000-01-01 00:00 UTC)  String system identifier
/// String database  String slot  Int16 number of publications, then for each  String name
/// ```
/// It never holds a connection string, a password or a key.
public struct RecordingHeader: Hashable, Sendable {
  /// The program that wrote it, with its version.
  public var program: String
  /// When it began: microseconds since 2000-01-01 00:00 UTC, by the recorder's clock.
  public var startTime: Int64
  /// The cluster's number.
  public var systemIdentifier: String
  /// The database.
  public var database: String
  /// The slot that was read.
  public var slot: String
  /// The publications that were asked for.
  public var publications: [String]

  /// Makes a header from its parts.
  public init(
    program: String, startTime: Int64, systemIdentifier: String, database: String, slot: String,
    publications: [String]
  ) {
    self.program = program
    self.startTime = startTime
    self.systemIdentifier = systemIdentifier
    self.database = database
    self.slot = slot
    self.publications = publications
  }

  func encode(into writer: inout ByteWriter) {
    writer.append(zeroTerminated: program)
    writer.append(bigEndian: startTime)
    writer.append(zeroTerminated: systemIdentifier)
    writer.append(zeroTerminated: database)
    writer.append(zeroTerminated: slot)
    writer.append(list: publications) { $1.append(zeroTerminated: $0) }
  }

  init(_ bytes: RawSpan) throws(DecodingError) {
    var reader = ByteReader(bytes)
    program = try reader.string()
    startTime = try reader.integer()
    systemIdentifier = try reader.string()
    database = try reader.string()
    slot = try reader.string()
    publications = []
    for _ in 0..<(try reader.listCount()) { publications.append(try reader.string()) }
    try reader.finish()
  }
}

extension ByteWriter {
  /// Appends a text and a zero; zeros inside, which PostgreSQL's texts never have, are left out.
  mutating func append(zeroTerminated text: String) {
    append(string: text.utf8.contains(0) ? text.filter { $0 != "\0" } : text)
    append(UInt8(0))
  }

  /// Appends an Int16 count and the elements; more than 32767 are a programming error.
  mutating func append<Element>(
    list: [Element], _ body: (Element, inout ByteWriter) -> Void
  ) {
    append(bigEndian: Int16(list.count))
    for element in list { body(element, &self) }
  }
}

extension ByteReader {
  /// Reads the count before a list.
  @_lifetime(self: copy self)
  mutating func listCount() throws(DecodingError) -> Int {
    let count = Int(try integer(Int16.self))
    guard count >= 0, count <= remaining else {
      throw DecodingError(.badLength(count), at: offset - 2)
    }
    return count
  }
}
