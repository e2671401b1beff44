import PGWire

/// The tables that Relation messages have described, and the look-ups that are outstanding.
///
/// What a streamed transaction says of a table is its own until it commits, so while one is read
/// its tables stand beside the connection's. When it has committed, the server takes its Relation
/// messages as sent for good: the one of each table that was *received* last counts from then on,
/// whichever was read last.
struct KnownTables {
  /// What is known of a table.
  enum Knowledge {
    case known(KnownTable)
    /// The look-up of that number has not been answered.
    case awaited(UInt64)
    /// Nothing has described it.
    case unknown
  }

  /// Where a Relation message stands: by its place in the stream's bytes, or, when it was kept, by
  /// its number.
  enum MessagePlace: Hashable {
    case stream(UInt64)
    case kept(UInt64)
  }

  private struct Entry {
    var knowledge: Knowledge
    /// The number of the Relation message that described it last.
    var number: UInt64

    /// Whether it waits for the answer to that request.
    func awaits(_ request: UInt64) -> Bool {
      if case .awaited(request) = knowledge { true } else { false }
    }
  }

  /// What a Relation message has said.
  struct Description {
    let relation: Relation
    /// Where it was said, as a ``TableRequest`` has it.
    let position: LSN
    /// The number of the message.
    let number: UInt64
  }

  private struct Pending {
    let relation: Relation
    let position: LSN
    /// The message that it was asked for, when that has not been read yet.
    var ahead: MessagePlace?
  }

  private var shared: [UInt32: Entry] = [:]
  private var stream: [UInt32: Entry]?
  private var last: KnownTable?
  private var counted: UInt64 = 0
  private var pending: [UInt64: Pending] = [:]
  /// The last look-up of each table that is outstanding.
  private var lastPending: [UInt32: UInt64] = [:]
  /// Messages that have not been read and whose tables are looked up, or were.
  private var ahead: [MessagePlace: Knowledge] = [:]

  /// How many look-ups are outstanding.
  var outstanding: Int { pending.count }

  /// Bytes that are prepared for the tables.
  var ownedBytes: Int {
    let entries = shared.values.map(\.knowledge) + (stream ?? [:]).values.map(\.knowledge)
    return (entries + ahead.values).reduce(0) { sum, knowledge in
      guard case .known(let table) = knowledge else { return sum }
      return sum + table.lanes.reduce(0) { $0 + ($1?.plan.ownedBytes ?? 0) }
    }
  }

  /// Numbers a Relation message that has been received.
  mutating func count() -> UInt64 {
    counted += 1
    return counted
  }

  /// What is known of a table whose row has come.
  @inline(__always)
  mutating func find(_ oid: UInt32) -> Knowledge {
    if let last, last.table.relation.oid == oid { return .known(last) }
    return findInAll(oid)
  }

  private mutating func findInAll(_ oid: UInt32) -> Knowledge {
    guard let entry = stream == nil ? shared[oid] : stream?[oid] else { return .unknown }
    if case .known(let table) = entry.knowledge { last = table }
    return entry.knowledge
  }

  /// Whether rows of a table have to wait.
  func isAwaited(_ oid: UInt32) -> Bool {
    let entry = stream == nil ? shared[oid] : stream?[oid]
    if case .awaited = entry?.knowledge { return true }
    return false
  }

  /// Whether a table has to be looked up whenever it is described: types of users may have changed,
  /// and so may a key that the replica identity does not name.
  static func isLookedUpAlways(_ relation: Relation) -> Bool {
    relation.replicaIdentity == .full || relation.replicaIdentity == .nothing
      || relation.columns.contains { $0.type >= TypeCatalog.firstUserType }
  }

  // MARK: - Descriptions

  /// Takes a description that changes nothing, or whose look-up has been asked for before; false
  /// when the table has to be looked up, see ``ask(_:number:)``.
  mutating func takes(_ relation: Relation, number: UInt64, at place: MessagePlace) -> Bool {
    if let asked = ahead.removeValue(forKey: place) {
      if case .awaited(let request) = asked { pending[request]?.ahead = nil }
      set(relation.oid, Entry(knowledge: asked, number: number))
      return true
    }
    guard !Self.isLookedUpAlways(relation), let known = known(relation) else { return false }
    set(relation.oid, Entry(knowledge: known, number: number))
    return true
  }

  /// What is known of a table, or will be, when it is described as it was.
  private func known(_ relation: Relation) -> Knowledge? {
    let own = stream == nil ? nil : stream?[relation.oid]
    guard let knowledge = (own ?? shared[relation.oid])?.knowledge else { return nil }
    let before: Relation? =
      switch knowledge {
      case .known(let table): table.table.relation
      case .awaited(let request): pending[request]?.relation
      case .unknown: nil
      }
    return before == relation ? knowledge : nil
  }

  private mutating func set(_ oid: UInt32, _ entry: Entry) {
    last = nil
    if stream == nil { shared[oid] = entry } else { stream?[oid] = entry }
  }

  /// A table that was described is looked up by a request; its rows wait.
  mutating func ask(_ request: TableRequest, describedBy number: UInt64) {
    pending[request.number] = Pending(relation: request.relation, position: request.position)
    lastPending[request.relation.oid] = request.number
    set(request.relation.oid, Entry(knowledge: .awaited(request.number), number: number))
  }

  /// A table that is known is looked up again; its rows wait.
  mutating func askAgain(_ request: TableRequest) {
    let oid = request.relation.oid
    ask(request, describedBy: (stream == nil ? shared[oid] : stream?[oid])?.number ?? 0)
  }

  // MARK: - Ahead of reading

  /// Whether a description that has been received and not been read needs a look-up of its own.
  func needsLookUp(ahead relation: Relation, at place: MessagePlace) -> Bool {
    if ahead[place] != nil { return false }
    if Self.isLookedUpAlways(relation) { return true }
    if known(relation) != nil { return false }
    // The first of several that say the same is enough.
    return lastPending[relation.oid].map { pending[$0]?.relation != relation } ?? true
  }

  /// A description that has not been read is looked up by a request.
  mutating func ask(_ request: TableRequest, ahead place: MessagePlace) {
    pending[request.number] = Pending(
      relation: request.relation, position: request.position, ahead: place)
    lastPending[request.relation.oid] = request.number
    ahead[place] = .awaited(request.number)
  }

  // MARK: - Answers

  /// Whether a look-up is outstanding.
  func isOutstanding(_ request: UInt64) -> Bool { pending[request] != nil }

  /// Takes what was found for a request.
  mutating func learn(_ table: KnownTable, for request: UInt64) {
    guard let asked = pending.removeValue(forKey: request) else { return }
    if let place = asked.ahead { ahead[place] = .known(table) }
    let oid = asked.relation.oid
    if lastPending[oid] == request { lastPending[oid] = nil }
    last = nil
    // A table that was described again meanwhile waits for another answer.
    if stream?[oid]?.awaits(request) == true { stream?[oid]?.knowledge = .known(table) }
    if shared[oid]?.awaits(request) == true { shared[oid]?.knowledge = .known(table) }
  }

  /// A row has agreed with its table's types.
  mutating func replace(_ table: KnownTable) {
    let oid = table.table.relation.oid
    last = nil
    if stream == nil {
      shared[oid]?.knowledge = .known(table)
    } else {
      stream?[oid]?.knowledge = .known(table)
    }
  }

  // MARK: - Other lanes

  /// What the connection has said of its tables; no streamed transaction may be read.
  var descriptions: [Description] {
    shared.values.compactMap { entry in
      switch entry.knowledge {
      case .known(let table):
        Description(
          relation: table.table.relation, position: table.position, number: entry.number)
      case .awaited(let request):
        pending[request].map {
          Description(relation: $0.relation, position: $0.position, number: entry.number)
        }
      case .unknown: nil
      }
    }
  }

  /// What was looked up, or is being, is void; gives ``descriptions``, to be asked again.
  mutating func restart() -> [Description] {
    let all = descriptions
    pending = [:]
    lastPending = [:]
    ahead = [:]
    last = nil
    return all
  }

  // MARK: - Streamed transactions

  /// A streamed transaction is read: it knows only what it says itself.
  mutating func beginStream() {
    stream = [:]
    last = nil
  }

  /// What was read is forgotten together with what it said of tables.
  mutating func dropStream() {
    stream = nil
    last = nil
  }

  /// The transaction has been read: what it said of tables is the connection's, where nothing was
  /// received later.
  mutating func endStream() {
    for (oid, entry) in stream ?? [:] where entry.number > shared[oid]?.number ?? 0 {
      shared[oid] = entry
    }
    stream = nil
    last = nil
  }
}
