import PGWire

/// Which existing rows are copied: at a start, when somebody asks for it, and when tables are new.
extension PostgresSession {
  /// The copies that this start begins or goes on with.
  ///
  /// It is durable before any position is: a crash in between leaves no table out.
  func copyAtStart(
    _ plain: inout Connection, _ server: ServerFacts, _ origin: SourceOrigin,
    _ reason: CopyReason, _ claims: [SinkClaim?]
  ) throws(StreamerError) -> CopyAtStart {
    let rules = source.snapshot
    var copy = CopyAtStart(isSlotNew: reason.isSlotNew)
    copy.book = try store.copies(of: origin).settled
    let start = CopyBook([CopyRequest(number: CopyRequest.start)])
    let places = claims.compactMap { $0?.kept?.copied(of: origin) }
    // Of several sinks the one that has least decides: the store's.
    if sinks.count == 1, let place = places.first {
      let changes = copy.book.changes(by: place)
      if !changes.tables.isEmpty {
        try store.save(changes, of: origin)
        copy.book.put(changes)
      }
    }
    var reason = reason
    reason.isCut = copy.book[CopyRequest.start] == nil && places.contains(where: \.isUnfinished)
    copy.isNew = reason.begins(rules.mode)
    if copy.isNew {
      try store.forget(start, of: origin)
      copy.book.forget(start)
    } else if rules.mode == .never, source.onGap != .snapshot, !rules.newTables {
      copy.book.forget(start)
    }
    known = nil
    if reason.isFirstConnection { try warnOfSignals(&plain) }
    guard copy.isNew || rules.newTables else { return copy }
    let published = try mapped { () throws(PGError) in
      try Self.measuring { (detail) throws(PGError) in
        let sql = describing(oids: nil, server.version.major, detail)
        return SnapshotTable.all(
          from: try plain.query(sql, timeout: timeLeft).last?.rows ?? [])
      }
    }
    if copy.isNew || copy.book[CopyRequest.start] == nil {
      // Where nothing is copied they are no news.
      let begun = CopyBook(
        [CopyRequest(number: CopyRequest.start, mark: CopyRequest.newMark())],
        progress(of: published, from: 0, isDone: !copy.isNew))
      try store.save(begun, of: origin)
      copy.book.put(begun)
      // The copy does not tell which rows were deleted.
      if copy.isNew, reason.isOverGap { try store.owe(OwedComparison(origin: origin)) }
    }
    if rules.newTables {
      known = Set(copy.book.tables(of: CopyRequest.start).map(\.relation))
    }
    return copy
  }

  /// Says that nobody hears of signals whose table is not published.
  private func warnOfSignals(_ plain: inout Connection) throws(StreamerError) {
    guard let pattern = source.snapshot.signalTable, let schema = pattern.schema else { return }
    let literals = [schema.text, pattern.table.text].map(ReplicationCommand.literal)
    let members = Publication.members(
      source.publication, serverMajor: plain.serverVersion.major)
    let found = try ask(
      &plain,
      "SELECT FROM (\(members)) p JOIN pg_catalog.pg_class c ON c.oid = p.relid "
        + "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        + "WHERE n.nspname = \(literals[0]) AND c.relname = \(literals[1])")
    guard found.isEmpty else { return }
    log.warning(
      "signalTable is not in the publication: no signal is heard",
      ["table": "\(pattern)", "publication": source.publication])
  }

  /// The tables among these that the configuration wants, small ones first.
  private func progress(
    of tables: [SnapshotTable], from number: Int, isDone: Bool
  ) -> [TableProgress] {
    tables.filter { source.snapshot.covers(schema: $0.relation.schema, table: $0.relation.name) }
      .sorted { ($0.bytes, $0.name) < ($1.bytes, $1.name) }
      .enumerated().map {
        TableProgress(
          number: number + $0, relation: $1.relation.oid, name: $1.name, isDone: isDone)
      }
  }

  private func describing(
    oids: [UInt32]?, _ major: Int, _ detail: SnapshotTable.Detail
  ) -> String {
    Self.impatient
      + SnapshotTable.query(
        publication: source.publication, oids: oids, serverMajor: major, detail)
  }

  func newTables(of origin: SourceOrigin) -> Result<CopyBook, StreamerError> {
    guard let known, let catalog else { return .success(CopyBook()) }
    do throws(StreamerError) {
      let published = try mapped { () throws(PGError) in
        try catalog.rows(within: Limits.slotAnswer) { major in
          "SELECT relid FROM (\(Publication.members(source.publication, serverMajor: major))) p"
        }
      }
      let oids = Set(published.compactMap { $0.first?.flatMap { UInt32($0) } })
      guard oids != known else { return .success(CopyBook()) }
      let changed = try adopt(oids.subtracting(known), gone: known.subtracting(oids), of: origin)
      self.known = oids
      return .success(changed)
    } catch { return .failure(error) }
  }

  /// Tables that have come into the publication are added to the copy of the start; those that have
  /// left it are forgotten, so that they are new when they come again.
  private func adopt(
    _ new: Set<UInt32>, gone: Set<UInt32>, of origin: SourceOrigin
  ) throws(StreamerError) -> CopyBook {
    let book = try store.copies(of: origin).settled
    let tables = book.tables(of: CopyRequest.start)
    try store.forget(
      CopyBook([], tables.filter { $0.isDone && gone.contains($0.relation) }), of: origin)
    guard !new.isEmpty else { return CopyBook() }
    let described = try describe(Array(new))
    let added = progress(of: described, from: (tables.last?.number ?? -1) + 1, isDone: false)
    guard !added.isEmpty else { return CopyBook() }
    // Somebody may have stopped or paused what was there; the new ones are another matter.
    var start =
      book[CopyRequest.start]
      ?? CopyRequest(number: CopyRequest.start, mark: CopyRequest.newMark())
    // What sinks know of the copy that has ended says nothing of tables that have come back.
    if book.hasEnded(CopyRequest.start) { start.mark = CopyRequest.newMark() }
    if start.state != .paused { start.state = .active }
    let before = tables.filter { table in !added.contains { $0.relation == table.relation } }
    try store.save(CopyBook([start], before + added), of: origin)
    return CopyBook([start], added)
  }

  private func describe(_ oids: [UInt32]?) throws(StreamerError) -> [SnapshotTable] {
    guard let catalog else { throw notConnected }
    return try mapped { () throws(PGError) in
      try Self.measuring { (detail) throws(PGError) in
        SnapshotTable.all(
          from: try catalog.rows(within: Limits.snapshotQuestion) {
            describing(oids: oids, $0, detail)
          })
      }
    }
  }

  // MARK: - Commands

  func carryOut(
    _ command: CopyCommand, of origin: SourceOrigin
  ) -> Result<CopyBook, StreamerError> {
    do throws(StreamerError) {
      let book = try store.copies(of: origin).settled
      switch command {
      case .copy(let tables, let filter, let mark):
        if let mark, book.requests.contains(where: { $0.mark == mark }) {
          return .success(CopyBook())
        }
        return .success(try add(tables, filter, mark, to: book, of: origin))
      case .tellGone(let table, let keys):
        return .success(try add([table], nil, nil, keys: keys, to: book, of: origin))
      case .pause(let number):
        return .success(try decide(.paused, about: number, in: book, of: origin))
      case .resume(let number):
        return .success(try decide(.active, about: number, in: book, of: origin))
      case .stop(let number):
        return .success(try decide(.stopped, about: number, in: book, of: origin))
      case .decide(let state, let tables):
        var changed = CopyBook()
        for number in book.unfinished(of: tables) {
          changed.put(try decide(state, about: number, in: book, of: origin))
        }
        return .success(changed)
      }
    } catch { return .failure(error) }
  }

  private func add(
    _ patterns: [String], _ filter: String?, _ mark: String?, keys: String? = nil,
    to book: CopyBook, of origin: SourceOrigin
  ) throws(StreamerError) -> CopyBook {
    guard !source.output.twoPhase else {
      throw refusal(
        "existing rows cannot be copied with twoPhase = true",
        hint: "What is prepared is delivered before a snapshot sees it.")
    }
    let chosen = try choose(patterns)
    if keys != nil {
      guard chosen.count == 1 else { throw refusal("keys are those of one table", hint: "") }
      guard chosen[0].mayTellGone else {
        throw refusal(
          "\(chosen[0].name) has no key that tells a deleted row",
          hint: "It takes a primary key or an index as its replica identity, and not FULL.")
      }
      if let fault = chosen[0].fault(inKeys: keys ?? "") { throw refusal(fault, hint: "") }
    }
    try examine(filter, keys, of: chosen)
    let added = book.next(
      patterns, filter: filter, keys: keys, mark: mark ?? CopyRequest.newMark(),
      of: chosen.sorted { ($0.bytes, $0.name) < ($1.bytes, $1.name) })
    try store.save(added, of: origin)
    var all = book
    all.put(added)
    try store.forget(all.surplus, of: origin)
    return added
  }

  /// The published tables that patterns name, each of which has to name one.
  private func choose(_ patterns: [String]) throws(StreamerError) -> [SnapshotTable] {
    let published = try describe(nil)
    for text in patterns {
      let name = text.hasPrefix("!") ? String(text.dropFirst()) : text
      guard let pattern = TablePattern(name), pattern.schema != nil else {
        throw refusal(
          "\(name.singleLine) does not say the schema and the table",
          hint: "Name tables as \"schema.table\", with * for any characters.")
      }
      let isThere = published.contains {
        pattern.matches(schema: $0.relation.schema, table: $0.relation.name)
      }
      guard isThere || text.hasPrefix("!") else {
        throw refusal(
          "publication \"\(source.publication)\" has no table \(name.singleLine)",
          hint: "ALTER PUBLICATION … ADD TABLE, or name one that it has.")
      }
    }
    let rules = SnapshotConfiguration(tables: patterns)
    let chosen = published.filter {
      rules.covers(schema: $0.relation.schema, table: $0.relation.name)
    }
    guard !chosen.isEmpty else { throw refusal("no table is named", hint: "") }
    return chosen
  }

  /// Lets the server say what it thinks of a condition, and that rows can be read here at all.
  private func examine(
    _ filter: String?, _ keys: String?, of tables: [SnapshotTable]
  ) throws(StreamerError) {
    if let filter, let fault = SQLCondition.fault(in: filter) {
      throw refusal("the condition \(fault)", hint: "It has to be one expression of SQL.")
    }
    guard let catalog else { throw notConnected }
    for var table in tables {
      table.condition = filter
      table.goneKeys = keys
      do throws(PGError) {
        _ = try catalog.rows(within: Limits.slotAnswer) { _ in
          "\(Self.impatient)EXPLAIN \(table.query(after: [], limit: 1))"
        }
      } catch {
        // Whoever holds it keeps it from being judged; the copy finds out.
        guard !Self.isOfLock(error) else { continue }
        throw unreadable(table, error)
      }
    }
  }

  private func decide(
    _ state: CopyRequest.State, about number: Int?, in book: CopyBook, of origin: SourceOrigin
  ) throws(StreamerError) -> CopyBook {
    if let number, book[number] == nil {
      throw refusal("it has no copy \(number)", hint: "GET /snapshot lists them.")
    }
    let unfinished = book.unfinished.filter { number == nil || $0 == number }
    guard !unfinished.isEmpty else {
      throw refusal(
        number.map { "copy \($0) has ended" } ?? "no existing rows are being copied", hint: "")
    }
    let changed = book.decided(state, about: number)
    try store.save(changed, of: origin)
    return CopyBook(changed.requests)
  }

  /// A copy that cannot be made ends.
  func refuse(_ number: Int, because error: StreamerError) throws(StreamerError) -> CopyBook {
    guard let origin = catalog?.origin else { throw error }
    var book = try store.copies(of: origin).settled
    book.decide(.failed, about: number, error: error.why)
    let changed = CopyBook(book.requests.filter { $0.number == number })
    try store.save(changed, of: origin)
    return changed
  }

  // MARK: - Refusals

  /// Whether an error is of what a condition says: its text, the values that it meets, or what it does.
  static func isOfCondition(_ error: ServerError) -> Bool {
    guard error.code != "42501" else { return false }
    return error.code == "25006"
      || ["0A", "21", "22", "23", "42", "54", "P0"].contains(error.code.prefix(2))
  }

  func refusedCondition(of table: SnapshotTable, _ error: ServerError) -> StreamerError {
    StreamerError(
      what: "source \(name)",
      why: "the \(table.goneKeys == nil ? "condition for existing rows" : "keys") of \(table.name) "
        + "\(table.goneKeys == nil ? "is" : "are") refused: \(error.message)",
      hint: "It stands in snapshotWhere, or beside the tables of the request.", exit: .preflight)
  }

  private func refusal(_ why: String, hint: String) -> StreamerError {
    StreamerError(what: "source \(name)", why: why, hint: hint, exit: .usage)
  }

  private var notConnected: StreamerError {
    StreamerError(what: "source \(name)", why: "it is not connected", retryable: true)
  }
}
