import PGWire

/// What the catalog said of one table's key, description by description.
///
/// A description older than the newest known one is a replay, and is answered out of here: the
/// catalog already tells what was altered since. Any other is for the catalog to answer.
struct KeyHistory: Hashable, Sendable {
  /// One description of the table.
  struct Entry: Hashable, Sendable {
    /// Where the description stood.
    var lsn: LSN
    /// The table's columns as described.
    var columns: [String]
    /// The key's columns among them; none for a table without a key.
    var key: [String]
  }

  /// The descriptions, in the order of their LSNs, one for each.
  private(set) var entries: [Entry] = []

  /// Takes descriptions in the order of their LSNs.
  init(_ entries: [Entry] = []) { self.entries = entries }

  /// The key's columns for a replayed description; nil where the catalog is to be asked.
  func key(of columns: [String], at lsn: LSN) -> [String]? {
    guard let newest = entries.last, newest.lsn > lsn else { return nil }
    return entries.last { $0.lsn <= lsn && $0.columns == columns }?.key
  }

  /// Whether an answer of the catalog says something that the newest entry does not.
  func isNews(_ entry: Entry) -> Bool {
    guard let newest = entries.last else { return true }
    return newest.columns != entry.columns || newest.key != entry.key
  }

  /// Adds an answer of the catalog; it replaces one at the same LSN.
  mutating func remember(_ entry: Entry) {
    entries.removeAll { $0.lsn == entry.lsn }
    let place = entries.firstIndex { $0.lsn > entry.lsn } ?? entries.endIndex
    entries.insert(entry, at: place)
  }

  /// Drops the entries that were replaced by `lsn`: all at or below it but the newest of them.
  mutating func prune(before lsn: LSN) {
    guard let needed = entries.lastIndex(where: { $0.lsn <= lsn }) else { return }
    entries.removeFirst(needed)
  }
}
