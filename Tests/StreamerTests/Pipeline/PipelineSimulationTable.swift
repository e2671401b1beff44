import PGWire
import Support

/// A table of the simulation, and what its changes look like on the wire and as events.
///
/// The expected JSON is put together here from the rules of the format, not by the encoder.
struct SimulatedTable {
  /// One change: the plugin's message and the events that it must become, in order.
  struct Outcome {
    var payload: [UInt8]
    var events: [Body]
  }

  /// What of an event depends on neither its place nor its transaction.
  struct Body {
    var schema = "public"
    var table: String
    var action: String
    var columns: String
    /// The key as JSON; nil for an event without a key.
    var key: String?
    /// The members after `Key`.
    var rest = ""
  }

  let oid: UInt32
  let name: String
  let identity: Relation.ReplicaIdentity
  /// The columns after `id`; of a table without a key all columns.
  var columns: [String]
  let hasKey: Bool
  /// Whether the second sink has no topic for it.
  var isExcluded: Bool { name == "hidden" }

  static let all = [
    SimulatedTable(
      oid: 16_384, name: "accounts", identity: .primaryKey, columns: ["note"], hasKey: true),
    SimulatedTable(oid: 16_390, name: "audit", identity: .full, columns: ["body"], hasKey: true),
    SimulatedTable(
      oid: 16_396, name: "journal", identity: .nothing, columns: ["line"], hasKey: false),
    SimulatedTable(
      oid: 16_402, name: "hidden", identity: .primaryKey, columns: ["secret"], hasKey: true),
  ]

  /// How the server describes it now.
  var relation: Relation {
    let key = [Relation.Column(name: "id", isKey: identity != .nothing, type: 23)]
    let rest = columns.map { Relation.Column(name: $0, isKey: identity == .full, type: 25) }
    return Relation(
      oid: oid, schema: "public", name: name, replicaIdentity: identity,
      columns: (hasKey ? key : []) + rest)
  }

  // MARK: - Changes

  func insert(_ id: Int, _ values: [String?]) -> Outcome {
    Outcome(
      payload: ServerBytes.insert(oid, cells(id, values)),
      events: [
        body("insert", columns: json(id, values, unchanged: []), key: key(id))
      ])
  }

  func delete(_ id: Int, _ values: [String?]) -> Outcome {
    Outcome(
      payload: ServerBytes.delete(oid, image, old(id, values)), events: [deletion(id, values)])
  }

  /// The columns in `unchanged` keep their value, and the server does not send it again.
  func update(
    _ id: Int, from before: [String?], to newID: Int, _ after: [String?], unchanged: Set<Int>
  ) -> Outcome {
    var new = cells(newID, after)
    for index in unchanged { new[index + 1] = .unchanged }
    let sendsOld = identity == .full || newID != id
    let payload = ServerBytes.update(oid, old: sendsOld ? (image, old(id, before)) : nil, new)
    let missing = identity == .full ? [] : unchanged
    let columnsJSON = json(newID, after, unchanged: missing)
    var rest = ""
    if newID != id, !missing.isEmpty { rest += ",\"Old\":{\"id\":\(id)}" }
    if newID == id, identity == .full { rest += ",\"Old\":\(json(id, before, unchanged: []))" }
    if !missing.isEmpty {
      let names = missing.sorted().map { "\"\(columns[$0])\"" }
      rest += ",\"Unchanged\":[\(names.joined(separator: ","))]"
    }
    let action = newID == id ? "update" : "insert"
    let event = body(action, columns: columnsJSON, key: key(newID), rest: rest)
    return Outcome(payload: payload, events: newID == id ? [event] : [deletion(id, before), event])
  }

  static func truncate(_ tables: [SimulatedTable]) -> Outcome {
    Outcome(
      payload: ServerBytes.truncate(tables.map(\.oid)),
      events: tables.map { $0.body("truncate", columns: "{}", key: nil) })
  }

  static func message(_ number: Int, transactional: Bool, at lsn: LSN) -> Outcome {
    let rest =
      ",\"Message\":{\"Prefix\":\"p\(number)\",\"Content\":\"bXNn\","
      + "\"Transactional\":\(transactional)}"
    return Outcome(
      payload: ServerBytes.logical(
        transactional: transactional, at: lsn, prefix: "p\(number)", Array("msg".utf8)),
      events: [
        Body(schema: "", table: "", action: "message", columns: "{}", key: nil, rest: rest)
      ])
  }

  // MARK: - Parts

  private var image: ServerBytes.Image { identity == .full ? .full : .key }

  private func deletion(_ id: Int, _ values: [String?]) -> Body {
    let old = identity == .full ? json(id, values, unchanged: []) : "{\"id\":\(id)}"
    return body("delete", columns: old, key: key(id), rest: ",\"Old\":\(old)")
  }

  private func body(
    _ action: String, columns: String, key: String?, rest: String = ""
  ) -> Body {
    Body(table: name, action: action, columns: columns, key: key, rest: rest)
  }

  private func key(_ id: Int) -> String? { hasKey ? "{\"id\":\(id)}" : nil }

  private func old(_ id: Int, _ values: [String?]) -> [ServerBytes.Cell] {
    identity == .full ? cells(id, values) : [.text("\(id)")] + columns.map { _ in .null }
  }

  private func cells(_ id: Int, _ values: [String?]) -> [ServerBytes.Cell] {
    let rest = padded(values).map { $0.map(ServerBytes.Cell.text) ?? .null }
    return (hasKey ? [.text("\(id)")] : []) + rest
  }

  private func json(_ id: Int, _ values: [String?], unchanged: Set<Int>) -> String {
    var members = hasKey ? ["\"id\":\(id)"] : []
    for (index, value) in padded(values).enumerated() where !unchanged.contains(index) {
      members.append("\"\(columns[index])\":\(value.map { "\"\($0)\"" } ?? "null")")
    }
    return "{\(members.joined(separator: ","))}"
  }

  /// A column added later is NULL in older rows.
  private func padded(_ values: [String?]) -> [String?] {
    values + Array(repeating: nil, count: columns.count - values.count)
  }
}
