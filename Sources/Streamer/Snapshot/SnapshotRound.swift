import PGWire

extension Snapshot {
  /// The rows that are read at one snapshot.
  ///
  /// Each reader reads a part of a table: another table than the others, or the rows behind another's
  /// part. Their rows are taken as they come. A table is as far as its parts are without a gap; what was
  /// taken behind one does not count until that is closed.
  struct Round {
    /// What nobody reads yet: the rows of a table behind a key, or all of them.
    struct Rest {
      let table: SnapshotTable
      let after: [String]
    }

    /// How far a table is.
    struct Progress {
      let table: SnapshotTable
      /// How many rows were taken since it was last said, and the last key.
      let rows: Int64
      let lastKey: [String]
      /// The part that was read to its end with them.
      let ended: Part?
    }

    /// The copy's number.
    let request: Int
    /// When it began.
    let began: Instant
    /// What is read next, in this order.
    private(set) var rests: [Rest]
    /// The parts that are being read, and those behind a gap, of each table in the order of its keys.
    private(set) var parts: [Part] = []
    /// How often a reader was asked.
    private var questions = 0
    /// The rows that it has brought, and those of them that no gap is in front of.
    private(set) var rows: Int64 = 0
    private(set) var counted: Int64 = 0
    /// How far its tables are with these.
    private(set) var progress: [TableProgress] = []
    /// How many tables of the start's copy are not complete.
    private(set) var leftAtStart: Int

    init(request: Int, rests: [Rest], leftAtStart: Int = 0, began: Instant) {
      self.request = request
      self.rests = rests
      self.leftAtStart = leftAtStart
      self.began = began
    }

    /// Notes how far a table is, which perhaps is complete with this round.
    mutating func note(_ table: TableProgress, isCompleted: Bool = false) {
      if isCompleted, request == CopyRequest.start { leftAtStart -= 1 }
      if let index = progress.firstIndex(where: { $0.relation == table.relation }) {
        progress[index] = table
      } else {
        progress.append(table)
      }
    }

    /// How many readers read.
    var readers: Int { parts.count { !$0.isTaken } }

    /// Begins to read a part of what is next, by a reader that is free.
    ///
    /// With `piece` it is made so small that others can read behind it.
    mutating func begin(limit: Int, piece: Int?, now: Instant) -> Part {
      let rest = rests.removeFirst()
      // Where few rows meet a condition, to seek them is to read the table twice.
      let splits = piece != nil && !rest.table.isReadWhole && !rest.table.hasCondition
      let taken = Set(parts.filter { !$0.isTaken }.map(\.reader))
      let part = Part(
        table: rest.table, after: rest.after,
        reader: (0...taken.count).first { !taken.contains($0) } ?? taken.count,
        limit: splits ? min(limit, piece ?? limit) : limit, began: now, seeksEnd: splits)
      parts.append(part)
      return part
    }

    /// A part's last key is known before its rows, or that it ends with its table: somebody else can
    /// read behind it.
    mutating func found(_ key: [String], by reader: Int) {
      guard let index = index(of: reader) else { return }
      parts[index].seeksEnd = false
      parts[index].end = key
      if !key.isEmpty { rests.insert(Rest(table: parts[index].table, after: key), at: 0) }
    }

    /// The part to be read on: readers take turns, and those of whose rows none waits come first.
    mutating func ask() -> Part? {
      let open = parts.indices.filter { parts[$0].next == nil && !parts[$0].isFetched }
      guard let index = open.min(by: { parts[$0].urgency < parts[$1].urgency }) else { return nil }
      questions += 1
      defer {
        parts[index].asked = questions
        if !parts[index].seeksEnd { parts[index].isAsked = true }
      }
      return parts[index]
    }

    /// A reader has filled a block; false when nobody wants it any more.
    mutating func put(_ block: RowBlock) -> Bool {
      guard let index = index(of: block.reader) else { return false }
      parts[index].fetched += block.read.count
      if block.read.isEnd { parts[index].isFetched = true }
      if parts[index].block == nil { parts[index].block = block } else { parts[index].next = block }
      return true
    }

    private func index(of reader: Int) -> Int? {
      parts.firstIndex { $0.reader == reader && !$0.isTaken }
    }

    /// The part whose rows are taken now: one at whose rows somebody has stopped before all others.
    var current: Int? {
      parts.firstIndex(where: \.isStopped) ?? parts.firstIndex { $0.block != nil }
    }

    /// How far the rows of a part's block have been taken; `isStopped` says that one of them has to wait.
    mutating func take(_ index: Int, upTo offset: Int, isStopped: Bool) {
      parts[index].offset = offset
      parts[index].isStopped = isStopped
    }

    /// All rows of a part's block have been taken.
    mutating func took(_ block: RowBlock, of index: Int) {
      let count = Int64(block.read.count)
      rows += count
      parts[index].rows += count
      if count > 0 { parts[index].lastKey = block.lastKey }
      parts[index].block = parts[index].next
      parts[index].next = nil
      parts[index].offset = 0
      parts[index].isTaken = block.read.isEnd
      // More of the table may be there, and nobody reads it.
      if block.read.isEnd, !parts[index].isLast, parts[index].end.isEmpty {
        rests.insert(Rest(table: parts[index].table, after: parts[index].lastKey), at: 0)
      }
    }

    /// Takes down how far a block was taken whose rest is given up.
    mutating func takePart() {
      guard let index = parts.firstIndex(where: { $0.offset > 0 }), let block = parts[index].block,
        !parts[index].table.isReadWhole
      else { return }
      let part = block.part(before: parts[index].offset, key: parts[index].table.key)
      parts[index].offset = 0
      guard !part.key.isEmpty else { return }
      rows += Int64(part.rows)
      parts[index].rows += Int64(part.rows)
      parts[index].lastKey = part.key
    }

    /// How far a table is, where that is farther than was said before.
    mutating func takeProgress() -> Progress? {
      var tables: Set<UInt32> = []
      for index in parts.indices where tables.insert(parts[index].table.relation.oid).inserted {
        let part = parts[index]
        guard part.isTaken || part.rows > 0 else { continue }
        counted += part.rows
        parts[index].rows = 0
        if part.isTaken { parts.remove(at: index) }
        return Progress(
          table: part.table, rows: part.rows, lastKey: part.lastKey,
          ended: part.isTaken ? part : nil)
      }
      return nil
    }
  }

  /// A part of a table: its rows behind a key, a bounded number of them.
  struct Part {
    let table: SnapshotTable
    /// The key that its rows lie behind; empty for the first.
    let after: [String]
    /// Who reads it.
    let reader: Int
    let limit: Int
    let began: Instant
    /// Whether it is found out first where it ends, and the key there; empty where nobody knows.
    fileprivate(set) var seeksEnd: Bool
    fileprivate(set) var end: [String] = []
    /// The question that was the last about it, and whether its rows have been asked for.
    fileprivate var asked = 0
    fileprivate(set) var isAsked = false
    /// How many rows have been fetched, and whether all have.
    fileprivate(set) var fetched = 0
    fileprivate(set) var isFetched = false
    /// The block whose rows are being taken, how far, and whether one of them has to wait.
    fileprivate(set) var block: RowBlock?
    fileprivate(set) var offset = 0
    fileprivate(set) var isStopped = false
    /// The block behind it.
    fileprivate var next: RowBlock?
    /// How many rows have been taken that the table's progress does not have, the last key, and whether
    /// it is all of them.
    fileprivate var rows: Int64 = 0
    fileprivate var lastKey: [String] = []
    fileprivate var isTaken = false

    fileprivate init(
      table: SnapshotTable, after: [String], reader: Int, limit: Int, began: Instant, seeksEnd: Bool
    ) {
      self.table = table
      self.after = after
      self.reader = reader
      self.limit = limit
      self.began = began
      self.seeksEnd = seeksEnd
    }

    /// The least of them is asked for next.
    fileprivate var urgency: (Int, Int) { (block == nil ? 0 : 1, asked) }

    /// Whether the table has no rows behind it, once it is fetched.
    var isLast: Bool { table.isReadWhole || end.isEmpty && fetched < limit }
  }
}
