import PGWire

/// Reads Avro's binary encoding by a schema's text, whoever wrote it, and writes it as JSON.
///
/// For commands that show or compare records: rows on their way never pass through it.
struct AvroReader {
  private indirect enum Kind {
    case null, boolean, long, float, double, bytes, string
    case fixed(Int)
    case symbols([String])
    case array(Kind)
    case map(Kind)
    case union([Kind])
    /// By its place among ``records``.
    case record(Int)
  }

  private struct Field {
    let name: String
    let kind: Kind
  }

  private var kind = Kind.null
  /// The fields of records, which may hold each other.
  private var records: [[Field]] = []
  /// What has a name, by its full one.
  private var named: [String: Kind] = [:]

  /// Nil where the text is no schema.
  init?(_ text: String) {
    guard let schema = JSONValue(Array(text.utf8)), let kind = read(schema, in: "") else {
      return nil
    }
    self.kind = kind
  }

  // MARK: - The schema

  private mutating func read(_ schema: JSONValue, in space: String) -> Kind? {
    switch schema {
    case .string(let name): return kind(named: name, in: space)
    case .array(let branches):
      var kinds: [Kind] = []
      for branch in branches {
        guard let kind = read(branch, in: space) else { return nil }
        kinds.append(kind)
      }
      return .union(kinds)
    case .object: return readObject(schema, in: space)
    default: return nil
    }
  }

  private mutating func readObject(_ schema: JSONValue, in space: String) -> Kind? {
    guard let type = schema["type"], let word = type.string else {
      return schema["type"].flatMap { read($0, in: space) }
    }
    switch word {
    case "array": return schema["items"].flatMap { read($0, in: space) }.map { .array($0) }
    case "map": return schema["values"].flatMap { read($0, in: space) }.map { .map($0) }
    case "record": return readRecord(schema, in: space)
    case "enum":
      let kind = Kind.symbols(schema["symbols"]?.elements.compactMap(\.string) ?? [])
      named[Self.fullName(of: schema, in: space).name] = kind
      return kind
    case "fixed":
      guard let size = schema["size"]?.integer, size >= 0 else { return nil }
      named[Self.fullName(of: schema, in: space).name] = .fixed(size)
      return .fixed(size)
    default: return kind(named: word, in: space)
    }
  }

  private mutating func readRecord(_ schema: JSONValue, in space: String) -> Kind? {
    let (name, own) = Self.fullName(of: schema, in: space)
    let place = records.count
    records.append([])
    // Its fields may name it.
    named[name] = .record(place)
    var fields: [Field] = []
    for field in schema["fields"]?.elements ?? [] {
      guard let name = field["name"]?.string, let type = field["type"],
        let kind = read(type, in: own)
      else { return nil }
      fields.append(Field(name: name, kind: kind))
    }
    records[place] = fields
    return .record(place)
  }

  private func kind(named name: String, in space: String) -> Kind? {
    switch name {
    case "null": .null
    case "boolean": .boolean
    case "int", "long": .long
    case "float": .float
    case "double": .double
    case "bytes": .bytes
    case "string": .string
    default: named[name.contains(".") || space.isEmpty ? name : "\(space).\(name)"] ?? named[name]
    }
  }

  private static func fullName(
    of schema: JSONValue, in space: String
  ) -> (name: String, space: String) {
    let name = schema["name"]?.string ?? ""
    if name.contains(".") {
      return (name, name.split(separator: ".").dropLast().joined(separator: "."))
    }
    let own = schema["namespace"]?.string ?? space
    return (own.isEmpty ? name : "\(own).\(name)", own)
  }

  // MARK: - Values

  /// Appends a record as JSON; false where the bytes are none of the schema.
  func append(_ bytes: RawSpan, to json: inout ByteWriter) -> Bool {
    var at = 0
    return append(kind, bytes, &at, to: &json) && at == bytes.byteCount
  }

  /// A whole number (zigzag); nil where the bytes end.
  private static func long(_ bytes: RawSpan, _ at: inout Int) -> Int64? {
    bytes.varint(from: &at).map { Int64(bitPattern: $0 >> 1) ^ -Int64(bitPattern: $0 & 1) }
  }

  /// The place of so many bytes; nil where they end before.
  private static func part(_ count: Int64?, of bytes: RawSpan, _ at: inout Int) -> Range<Int>? {
    guard let count, count >= 0, count <= Int64(bytes.byteCount - at) else { return nil }
    defer { at += Int(count) }
    return at..<at + Int(count)
  }

  /// A number of so many bytes, the lowest first.
  private static func word(_ count: Int64, of bytes: RawSpan, _ at: inout Int) -> UInt64? {
    guard let place = part(count, of: bytes, &at) else { return nil }
    return place.reversed().reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
  }

  /// The place of bytes behind their number.
  private static func text(_ bytes: RawSpan, _ at: inout Int) -> Range<Int>? {
    part(long(bytes, &at), of: bytes, &at)
  }

  private func append(
    _ kind: Kind, _ bytes: RawSpan, _ at: inout Int, to json: inout ByteWriter
  ) -> Bool {
    switch kind {
    case .null: json.append("null")
    case .boolean:
      guard let bit = Self.word(1, of: bytes, &at) else { return false }
      json.append(string: bit == 0 ? "false" : "true")
    case .long:
      guard let value = Self.long(bytes, &at) else { return false }
      json.append(string: "\(value)")
    case .float:
      guard let bits = Self.word(4, of: bytes, &at) else { return false }
      JavaNumber.append(Float(bitPattern: UInt32(bits)), to: &json)
    case .double:
      guard let bits = Self.word(8, of: bytes, &at) else { return false }
      JavaNumber.append(Double(bitPattern: bits), to: &json)
    case .string:
      guard let place = Self.text(bytes, &at) else { return false }
      ConnectText.append(bytes.extracting(place), to: &json)
    case .bytes:
      guard let place = Self.text(bytes, &at) else { return false }
      Base64.append(bytes.extracting(place), to: &json)
    case .fixed(let size):
      guard let place = Self.part(Int64(size), of: bytes, &at) else { return false }
      Base64.append(bytes.extracting(place), to: &json)
    case .symbols(let names):
      guard let place = Self.place(in: names, bytes, &at) else { return false }
      ConnectText.append(string: names[place], to: &json)
    case .union(let kinds):
      guard let place = Self.place(in: kinds, bytes, &at) else { return false }
      return append(kinds[place], bytes, &at, to: &json)
    case .record(let place): return append(records[place], bytes, &at, to: &json)
    case .array(let element):
      return appendBlocks(of: element, isMap: false, bytes, &at, to: &json)
    case .map(let element): return appendBlocks(of: element, isMap: true, bytes, &at, to: &json)
    }
    return true
  }

  private static func place<Element>(
    in list: [Element], _ bytes: RawSpan, _ at: inout Int
  ) -> Int? {
    long(bytes, &at).flatMap { Int(exactly: $0) }.flatMap { list.indices.contains($0) ? $0 : nil }
  }

  private func append(
    _ fields: [Field], _ bytes: RawSpan, _ at: inout Int, to json: inout ByteWriter
  ) -> Bool {
    json.append("{")
    for (number, field) in fields.enumerated() {
      if number > 0 { json.append(",") }
      ConnectText.append(string: field.name, to: &json)
      json.append(":")
      guard append(field.kind, bytes, &at, to: &json) else { return false }
    }
    json.append("}")
    return true
  }

  /// Appends a list or a map, whose elements come in blocks behind their number.
  private func appendBlocks(
    of element: Kind, isMap: Bool, _ bytes: RawSpan, _ at: inout Int, to json: inout ByteWriter
  ) -> Bool {
    json.append(string: isMap ? "{" : "[")
    var isFirst = true
    while true {
      guard let count = Self.long(bytes, &at) else { return false }
      if count == 0 { break }
      // Behind a number below zero stands the size of its block, which lets others skip it.
      if count < 0, Self.long(bytes, &at) == nil { return false }
      guard count.magnitude <= UInt64(bytes.byteCount) else { return false }
      for _ in 0..<count.magnitude {
        if !isFirst { json.append(",") }
        isFirst = false
        if isMap {
          guard let place = Self.text(bytes, &at) else { return false }
          ConnectText.append(bytes.extracting(place), to: &json)
          json.append(":")
        }
        guard append(element, bytes, &at, to: &json) else { return false }
      }
    }
    json.append(string: isMap ? "}" : "]")
    return true
  }
}
