/// A schema that has to have a number before records can name it.
struct RegisteredSchema: Hashable, Sendable {
  /// The registry's names for kinds of schemas.
  enum Kind: String, Hashable, Sendable {
    case avro = "AVRO"
    case json = "JSON"
    case protobuf = "PROTOBUF"
  }

  /// What it is written in.
  var kind: Kind
  /// The schema itself: the same bytes for the same table, always.
  var text: String
  /// Its own name, such as "shop.public.orders.Value".
  var name: String
  /// Whether it is that of keys.
  var isKey: Bool

  /// What it is registered under for a topic.
  func subject(of topic: String, _ subjects: RegistryConfiguration.Subjects) -> String {
    Self.subject(name: name, isKey: isKey, of: topic, subjects)
  }

  /// The same of a schema that has no text yet.
  static func subject(
    name: String, isKey: Bool, of topic: String, _ subjects: RegistryConfiguration.Subjects
  ) -> String {
    switch subjects {
    case .topic: "\(topic)-\(isKey ? "key" : "value")"
    case .record: name
    case .topicRecord: "\(topic)-\(name)"
    }
  }
}

/// The numbers of a table's schemas.
struct SchemaNumbers: Hashable, Sendable {
  /// That of its keys; nil where they have none.
  var key: UInt32?
  /// That of its values.
  var value: UInt32 = 0
  /// Those of the keys' fields, and of the values', in encodings that know fields by theirs; empty
  /// where they are counted from 1 on.
  var keyFields: [Int32] = []
  var valueFields: [Int32] = []
  /// Why the registry has refused one of them, which is held: its number is the quarantine's; nil where
  /// the registry knows them.
  var refusal: String?
}
