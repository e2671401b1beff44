import PGWire

/// A schema of Kafka Connect: what Debezium says of a value, whichever way it is then written.
struct ConnectSchema: Sendable {
  /// What values are.
  indirect enum Kind: Sendable {
    case boolean, int8, int16, int32, int64, float, double, string, bytes
    case array(ConnectSchema)
    case map(key: ConnectSchema, value: ConnectSchema)
    case structure([Member])
  }

  /// One field of a struct.
  struct Member: Sendable {
    let name: String
    let schema: ConnectSchema

    init(_ name: String, _ schema: ConnectSchema) {
      self.name = name
      self.schema = schema
    }
  }

  /// What values are.
  var kind: Kind
  /// Whether a value may be null.
  var isOptional = false
  /// What the value means: a logical type, or the name of a struct.
  var name: String?
  /// The version of ``name``.
  var version: Int?
  /// What else belongs to the name, in its order.
  var parameters: [(name: String, value: String)] = []
  /// A text about it.
  var documentation: String?
  /// The value that stands for none; only of strings.
  var standard: String?

  init(_ kind: Kind, _ name: String? = nil) {
    self.kind = kind
    self.name = name
    if name != nil { version = 1 }
  }

  /// The same, whose values may be null, or may not.
  func optional(_ isOptional: Bool = true) -> ConnectSchema {
    var schema = self
    schema.isOptional = isOptional
    return schema
  }
}

extension ConnectSchema {
  /// Appends it as Connect's JSON converter writes it; `field` is its name in a struct.
  func append(to json: inout ByteWriter, field: String? = nil) {
    json.append("{\"type\":\"")
    json.append(string: kind.name)
    json.append("\"")
    switch kind {
    case .structure(let members):
      json.append(",\"fields\":[")
      for (number, member) in members.enumerated() {
        if number > 0 { json.append(0x2C as UInt8) }
        member.schema.append(to: &json, field: member.name)
      }
      json.append("]")
    case .array(let element):
      json.append(",\"items\":")
      element.append(to: &json)
    case .map(let key, let value):
      json.append(",\"keys\":")
      key.append(to: &json)
      json.append(",\"values\":")
      value.append(to: &json)
    default: break
    }
    json.append(string: ",\"optional\":\(isOptional)")
    if let name {
      json.append(",\"name\":")
      ConnectText.append(string: name, to: &json)
    }
    if let version { json.append(string: ",\"version\":\(version)") }
    if !parameters.isEmpty {
      json.append(",\"parameters\":")
      appendParameters(to: &json)
    }
    for (key, text) in [("doc", documentation), ("default", standard), ("field", field)] {
      guard let text else { continue }
      json.append(string: ",\"\(key)\":")
      ConnectText.append(string: text, to: &json)
    }
    json.append("}")
  }

  /// Appends the parameters as a JSON object.
  func appendParameters(to json: inout ByteWriter) {
    json.append("{")
    for (number, parameter) in parameters.enumerated() {
      if number > 0 { json.append(0x2C as UInt8) }
      ConnectText.append(string: parameter.name, to: &json)
      json.append(0x3A as UInt8)
      ConnectText.append(string: parameter.value, to: &json)
    }
    json.append("}")
  }
}

extension ConnectSchema.Kind {
  /// What Connect calls it.
  fileprivate var name: String {
    switch self {
    case .boolean: "boolean"
    case .int8: "int8"
    case .int16: "int16"
    case .int32: "int32"
    case .int64: "int64"
    case .float: "float"
    case .double: "double"
    case .string: "string"
    case .bytes: "bytes"
    case .array: "array"
    case .map: "map"
    case .structure: "struct"
    }
  }

  /// The mark of integers that Avro and Protobuf have no type for.
  var connectType: String? {
    switch self {
    case .int8: "int8"
    case .int16: "int16"
    default: nil
    }
  }
}
