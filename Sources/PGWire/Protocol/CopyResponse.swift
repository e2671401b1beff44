/// The body of CopyInResponse, CopyOutResponse and CopyBothResponse (manual: "Message Formats").
///
///     Int8    format of the whole copy: 0 text, 1 binary
///     Int16   number of columns, then for each:
///     Int16   format: 0 text, 1 binary
public struct CopyResponse: Hashable, Sendable {
  /// Whether the copy is binary.
  public let isBinary: Bool
  /// The columns' formats: 0 text, 1 binary; none for a replication stream.
  public let columnFormats: [Int16]

  /// Reads the body of any of the three messages.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> CopyResponse {
    var reader = ByteReader(body)
    let format = try reader.byte()
    guard format <= 1 else { throw DecodingError(.unknownCode(UInt32(format)), at: 0) }
    let count = try reader.integer(Int16.self)
    guard count >= 0 else { throw DecodingError(.badLength(Int(count)), at: 1) }
    var formats: [Int16] = []
    for _ in 0..<count { formats.append(try reader.integer()) }
    try reader.finish()
    return CopyResponse(isBinary: format == 1, columnFormats: formats)
  }
}
