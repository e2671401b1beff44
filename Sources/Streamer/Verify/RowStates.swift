/// What a topic has said of one row, and what the table says.
///
/// The table is read after the topic's end has been noted, and the topic is then read on until it has
/// everything that the table showed. So the row as it was read is one of the states that the topic had
/// from that end on: whichever changes come meanwhile, the two agree if one of them is the row.
struct RowStates {
  /// What two sides have to say of one another.
  enum Verdict: Hashable, Sendable {
    case agrees
    /// The table has the row, and the topic has not.
    case missing
    /// The topic has the row, and the table has not.
    case extra
    /// Both have it, with other values.
    case different
    /// The topic's record is of a transaction that the table did not show yet.
    case unsettled
  }

  /// The columns of the row at one time; nil while there is none.
  typealias State = [ColumnDigest]?

  /// The state that is reached, and those since the topic's noted end; the first is the one there.
  private(set) var states: [State] = [nil]
  /// The transaction of the first of them.
  private var xid: UInt32?
  /// Where the state was made that is reached.
  private var lsn: UInt64 = 0
  private var partition: Int32?
  /// The row as the table has it.
  private(set) var row: State = nil

  /// Takes what one place says; all entries of a row come in the order in which they were read.
  ///
  /// `emptied` is where the table was emptied last before the topic's noted end: what lies before that
  /// is gone.
  mutating func take(_ entry: KeyEntry, emptied: UInt64 = 0) {
    switch (entry.origin, entry.record.content) {
    case (.table, .row(let columns)): row = columns
    case (.table, _): break
    case (.before, _):
      guard isNewer(entry) else { return }
      var record = entry.record
      if record.lsn > 0, record.lsn < emptied { record.content = .gone }
      states = [Self.state(after: states[0], record)]
      note(entry)
      xid = entry.record.xid
    case (.since, _):
      guard isNewer(entry) else { return }
      states.append(Self.state(after: states[states.count - 1], entry.record))
      note(entry)
    }
  }

  /// The table was emptied behind the topic's noted end, at `lsn` the last time.
  mutating func empty(at lsn: UInt64) { if lsn > 0 { states.append(nil) } }

  /// Within a partition the later record counts; of two partitions, between which a row has moved, the
  /// one whose change lies behind the other's.
  private func isNewer(_ entry: KeyEntry) -> Bool {
    guard let partition, partition != entry.partition, entry.record.lsn > 0, lsn > 0 else {
      return true
    }
    if entry.record.lsn == lsn { return entry.record.content != .gone }
    return entry.record.lsn > lsn
  }

  private mutating func note(_ entry: KeyEntry) {
    partition = entry.partition
    if entry.record.lsn > 0 { lsn = entry.record.lsn }
  }

  /// A column that the record does not have keeps its value.
  private static func state(after old: State, _ record: RowRecord) -> State {
    guard case .row(let columns) = record.content else { return nil }
    guard let old, old.count > 0 else { return columns }
    let names = Set(columns.map(\.name))
    let kept = old.filter { !names.contains($0.name) }
    return columns + kept
  }

  /// Whether the topic had the row where its end was noted.
  var isInTopic: Bool { states[0] != nil }

  /// What comes of it; `isSeen` says whether the table showed what a transaction did.
  func verdict(isSeen: (UInt32) -> Bool) -> Verdict {
    if states.contains(where: { Self.agree(row, $0) }) { return .agrees }
    if let xid, !isSeen(xid) { return .unsettled }
    if row == nil { return .extra }
    return states[states.count - 1] == nil ? .missing : .different
  }

  /// Two rows agree where the columns agree that both have: one may have been added or dropped since, and
  /// a value that was never sent is not known.
  static func agree(_ row: State, _ state: State) -> Bool {
    guard let row, let state else { return row == nil && state == nil }
    if row == state { return true }
    let values = Dictionary(state.map { ($0.name, $0.value) }) { first, _ in first }
    var common = 0
    for column in row {
      guard let value = values[column.name] else { continue }
      guard value == column.value else { return false }
      common += 1
    }
    return common > 0 || row.isEmpty
  }
}
