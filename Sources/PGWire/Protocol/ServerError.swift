/// What a server says in an ErrorResponse or a NoticeResponse.
///
///     { Byte1 field type, String value }*  then a zero byte
///
/// (manual: "Error and Notice Message Fields"). Fields of an unknown type are ignored, as the
/// manual demands.
public struct ServerError: Error, Hashable, Sendable {
  /// `S`: ERROR, FATAL, PANIC, WARNING, NOTICE, ..., maybe in the server's language.
  public var localizedSeverity = ""
  /// `V`: the severity, never translated; empty on servers before 9.6.
  public var severity = ""
  /// `C`: the SQLSTATE, five characters.
  public var code = ""
  /// `M`: the message, one line.
  public var message = ""
  /// `D`: more about the problem.
  public var detail: String?
  /// `H`: what one could do.
  public var hint: String?
  /// `P`: where in the query, in characters from 1.
  public var position: Int?
  /// `p`: where in ``internalQuery``, in characters from 1.
  public var internalPosition: Int?
  /// `q`: the query that the server ran itself and that failed.
  public var internalQuery: String?
  /// `W`: the context, one frame a line.
  public var context: String?
  /// `s`: the schema the error is about.
  public var schemaName: String?
  /// `t`: the table the error is about.
  public var tableName: String?
  /// `c`: the column the error is about.
  public var columnName: String?
  /// `d`: the data type the error is about.
  public var dataTypeName: String?
  /// `n`: the constraint the error is about.
  public var constraintName: String?
  /// `F`: the source file that reported it.
  public var file: String?
  /// `L`: the line in that file.
  public var line: Int?
  /// `R`: the function that reported it.
  public var routine: String?

  /// Makes an error without fields.
  public init() {}

  /// Reads the body of an ErrorResponse or NoticeResponse.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> ServerError {
    var reader = ByteReader(body)
    var error = ServerError()
    while true {
      let type = try reader.byte()
      if type == 0 { break }
      error.set(type, to: try reader.string())
    }
    try reader.finish()
    return error
  }

  /// Whether the server closes the connection after it.
  public var isFatal: Bool {
    let severity = severity.isEmpty ? localizedSeverity : severity
    return severity == "FATAL" || severity == "PANIC"
  }

  private mutating func set(_ type: UInt8, to value: String) {
    switch Unicode.Scalar(type) {
    case "S": localizedSeverity = value
    case "V": severity = value
    case "C": code = value
    case "M": message = value
    case "D": detail = value
    case "H": hint = value
    case "P": position = Int(value)
    case "p": internalPosition = Int(value)
    case "q": internalQuery = value
    case "W": context = value
    case "s": schemaName = value
    case "t": tableName = value
    case "c": columnName = value
    case "d": dataTypeName = value
    case "n": constraintName = value
    case "F": file = value
    case "L": line = Int(value)
    case "R": routine = value
    default: break
    }
  }
}

extension ServerError: CustomStringConvertible {
  /// One line that joins severity, SQLSTATE, message, detail and hint.
  ///
  /// The detail of data exceptions and integrity violations (classes 22 and 23) is left out: it
  /// quotes values of rows.
  public var description: String {
    var text = severity.isEmpty ? localizedSeverity : severity
    if !code.isEmpty { text += " " + code }
    text += ": " + message
    if let detail, !code.hasPrefix("22"), !code.hasPrefix("23") { text.append(sentence: detail) }
    if let hint { text.append(sentence: hint) }
    return text.onOneLine
  }
}

extension String {
  /// Appends a sentence to another one, with exactly one full stop between them.
  mutating func append(sentence: String) {
    if let last, !".!?:".contains(last) { append(".") }
    append(" ")
    append(sentence)
  }

  /// The text with every control character replaced by a space.
  var onOneLine: String {
    guard unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
      return self
    }
    var line = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      line.append(scalar.value < 0x20 || scalar.value == 0x7F ? " " : scalar)
    }
    return String(line)
  }
}

extension ServerError {
  /// Whether it says that a publication did not exist where the stream stands, so that changes are
  /// missing: servers from 18 go on over it with a warning, older ones end the stream.
  ///
  /// Told by the place in the server's code, since `lc_messages` translates the text.
  public var isVanishedPublication: Bool { code == "55000" && routine == "LoadPublications" }
}
