import PGWire

/// A copy of existing rows that somebody wants, as it is kept in the store.
struct CopyRequest: Hashable, Sendable {
  /// What somebody has decided about it; whether it is complete its tables say.
  enum State: String, CaseIterable, Sendable {
    /// It has its turn when all before it have ended or wait.
    case active
    /// It waits until somebody lets it go on.
    case paused
    /// Somebody has ended it.
    case stopped
    /// The server does not take its condition.
    case failed
  }

  /// The copy that the source's start has asked for, and new tables with it.
  static let start = 0

  /// Its id, and its place in the order: ``start``, or one after the one before.
  var number: Int
  /// The tables that were asked for, as patterns; empty for all.
  var tables: [String] = []
  /// A condition for their rows, in the server's SQL; nil for all rows.
  var filter: String?
  /// Keys of the one table as a JSON array of objects; nil for a copy.
  ///
  /// Those of which there is no row are told as deleted, and nothing is copied.
  var keys: String?
  /// What tells it from every other: where in the stream it was asked for, or else a number of chance;
  /// nil for one that an older version has made.
  ///
  /// A part of the stream that comes again brings no second copy.
  var mark: String?
  /// What somebody has decided about it.
  var state = State.active
  /// What the server says of its condition; nil unless it has failed.
  var error: String?

  /// A mark for a copy that was not asked for in the stream.
  static func newMark() -> String { String(UInt64.random(in: .min ... .max), radix: 16) }
}

/// How far the existing rows of a table are copied: what a restart goes on from.
struct TableProgress: Hashable, Sendable {
  /// The copy's number; see ``CopyRequest``.
  var request = CopyRequest.start
  /// Its place in the order in which the copy's tables are read.
  var number: Int
  /// The table's OID.
  var relation: UInt32
  /// "schema.table".
  var name: String
  /// The key of the last row that every sink has; empty when that is none.
  var lastKey: [String] = []
  /// How many rows every sink has.
  var rows: Int64 = 0
  /// Whether that is all of them, or no more are wanted.
  var isDone = false
}

/// The copies of a database that are under way, wait or have ended, with their tables: all of them, or
/// those that have changed.
struct CopyBook: Hashable, Sendable {
  /// The copies, by their numbers.
  private(set) var requests: [CopyRequest] = []
  /// Their tables, by the copy and their place in it.
  private(set) var tables: [TableProgress] = []

  init(_ requests: [CopyRequest] = [], _ tables: [TableProgress] = []) {
    self.requests = requests.sorted { $0.number < $1.number }
    self.tables = tables.sorted { ($0.request, $0.number) < ($1.request, $1.number) }
  }

  /// The copy of that number.
  subscript(number: Int) -> CopyRequest? { requests.first { $0.number == number } }

  /// A copy's tables, in their order.
  func tables(of number: Int) -> [TableProgress] { Array(part(number)) }

  /// Whether nothing is left to be read for a copy.
  func hasEnded(_ number: Int) -> Bool { part(number).allSatisfy(\.isDone) }

  /// A copy's tables: whoever looks at all copies looks at each table once.
  private func part(_ number: Int) -> ArraySlice<TableProgress> {
    tables[place(of: number)..<place(of: number + 1)]
  }

  /// Where the tables begin of a copy and those behind it.
  private func place(of number: Int) -> Int {
    var (low, high) = (0, tables.count)
    while low < high {
      let middle = (low + high) / 2
      if tables[middle].request < number { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The numbers of the copies that have not ended, in their order.
  var unfinished: [Int] { requests.map(\.number).filter { !hasEnded($0) } }

  /// The numbers of those that somebody has asked for, of these tables and no others; of any where none
  /// is named.
  func unfinished(of tables: [String]) -> [Int] {
    unfinished.filter { number in
      guard number != CopyRequest.start, let request = self[number] else { return false }
      return tables.isEmpty || Set(request.tables).isSubset(of: tables)
    }
  }

  /// The copy whose turn it is.
  var current: CopyRequest? {
    requests.first { $0.state == .active && !hasEnded($0.number) }
  }

  /// Where a table of a copy stands in ``tables``.
  func index(of relation: UInt32, in request: Int) -> Int? {
    part(request).firstIndex { $0.relation == relation }
  }

  /// Changes a table's progress.
  mutating func change(_ index: Int, _ body: (inout TableProgress) -> Void) { body(&tables[index]) }

  /// Adds copies and tables, each in place of the one that is known.
  mutating func put(_ other: CopyBook) {
    for request in other.requests {
      if let index = requests.firstIndex(where: { $0.number == request.number }) {
        requests[index] = request
      } else {
        requests.append(request)
      }
    }
    let places = Dictionary(
      tables.indices.map { (Place(tables[$0]), $0) }, uniquingKeysWith: { first, _ in first })
    for table in other.tables {
      if let index = places[Place(table)] { tables[index] = table } else { tables.append(table) }
    }
    self = CopyBook(requests, tables)
    for request in other.requests { close(request) }
  }

  /// Takes copies with their tables out, and single tables.
  mutating func forget(_ other: CopyBook) {
    let numbers = Set(other.requests.map(\.number))
    let places = Set(other.tables.map(Place.init))
    requests.removeAll { numbers.contains($0.number) }
    tables.removeAll { numbers.contains($0.request) || places.contains(Place($0)) }
  }

  /// Decides about a copy; its tables are read no more where it ends.
  mutating func decide(_ state: CopyRequest.State, about number: Int, error: String? = nil) {
    guard let index = requests.firstIndex(where: { $0.number == number }) else { return }
    requests[index].state = state
    requests[index].error = error
    close(requests[index])
  }

  private mutating func close(_ request: CopyRequest) {
    guard request.state == .stopped || request.state == .failed else { return }
    for index in tables.indices where tables[index].request == request.number {
      tables[index].isDone = true
    }
  }

  /// The copies that somebody has ended have nothing to read, whatever their tables say: a part of one
  /// may have been written down after its end.
  var settled: CopyBook {
    var book = self
    for request in requests { book.close(request) }
    return book
  }

  /// What somebody's decision about a copy changes, or about all that have not ended; nothing where
  /// there is none.
  func decided(_ state: CopyRequest.State, about number: Int?) -> CopyBook {
    let numbers = unfinished.filter { number == nil || $0 == number }
    var after = self
    for number in numbers { after.decide(state, about: number) }
    return after.changes(since: self)
  }

  /// A copy behind all others, of these tables, in their order.
  func next(
    _ patterns: [String], filter: String?, keys: String? = nil, mark: String?,
    of tables: [SnapshotTable]
  ) -> CopyBook {
    let number = (requests.last?.number ?? CopyRequest.start) + 1
    let request = CopyRequest(
      number: number, tables: patterns, filter: filter, keys: keys, mark: mark)
    return CopyBook(
      [request],
      tables.enumerated().map {
        TableProgress(request: number, number: $0, relation: $1.relation.oid, name: $1.name)
      })
  }

  /// What is new here or other than there.
  func changes(since old: CopyBook) -> CopyBook {
    let (oldRequests, oldTables) = (Set(old.requests), Set(old.tables))
    return CopyBook(
      requests.filter { !oldRequests.contains($0) }, tables.filter { !oldTables.contains($0) })
  }

  /// Copies that ended too long ago to be kept; that of the start stays, which says what tables are
  /// known.
  var surplus: CopyBook {
    let ended = requests.filter { $0.number != CopyRequest.start && hasEnded($0.number) }
    return CopyBook(ended.dropLast(Limits.keptCopies), [])
  }

  private struct Place: Hashable {
    let request: Int
    let relation: UInt32

    init(_ table: TableProgress) {
      request = table.request
      relation = table.relation
    }
  }
}
