import PGWire
import Synchronization

/// A store that lasts as long as the process: for tests and for temporary slots.
final class MemoryPositionStore {
  private struct Contents {
    var positions: [Name: Position] = [:]
    var overrides: [String: LSN] = [:]
    var keys: [SourceOrigin: [UInt32: KeyHistory]] = [:]
    var gaps: [String: [Gap]] = [:]
    var copies: [SourceOrigin: CopyBook] = [:]
    var signals: [Name: [Int32: Int64]] = [:]
    var owed: [String: OwedComparison] = [:]

    mutating func save(_ positions: [Position]) {
      for position in positions {
        self.positions[Name(source: position.source, sink: position.sink)] = position
      }
    }
  }
  private struct Name: Hashable { let source, sink: String }

  private let contents = Mutex(Contents())
}

extension MemoryPositionStore: PositionStore {
  func load(source: String) -> [Position] {
    contents.withLock { contents in
      contents.positions.values.filter { $0.source == source }.sorted { $0.sink < $1.sink }
    }
  }

  func save(_ positions: [Position]) { contents.withLock { $0.save(positions) } }

  func forget(source: String, sink: String) {
    contents.withLock { contents in
      contents.positions[Name(source: source, sink: sink)] = nil
    }
  }
}

extension MemoryPositionStore: SourceMemory {
  func appliedOverride(source: String) -> LSN? { contents.withLock { $0.overrides[source] } }

  func applyOverride(_ value: LSN, source: String, positions: [Position]) {
    contents.withLock { contents in
      contents.save(positions)
      contents.overrides[source] = value
    }
  }

  func keyColumns(of table: DescribedTable, at lsn: LSN) -> [String]? {
    contents.withLock { contents in
      contents.keys[table.origin]?[table.relationOID]?.key(of: table.columns, at: lsn)
    }
  }

  func rememberKeyColumns(_ key: [String], of table: DescribedTable, at lsn: LSN) {
    let entry = KeyHistory.Entry(lsn: lsn, columns: table.columns, key: key)
    contents.withLock { contents in
      var history = contents.keys[table.origin]?[table.relationOID] ?? KeyHistory()
      guard history.isNews(entry) else { return }
      history.remember(entry)
      contents.keys[table.origin, default: [:]][table.relationOID] = history
    }
  }

  func copies(of origin: SourceOrigin) -> CopyBook {
    contents.withLock { $0.copies[origin] ?? CopyBook() }
  }

  func save(_ copies: CopyBook, of origin: SourceOrigin) {
    contents.withLock { $0.copies[origin, default: CopyBook()].put(copies) }
  }

  func forget(_ copies: CopyBook, of origin: SourceOrigin) {
    contents.withLock { $0.copies[origin]?.forget(copies) }
  }

  func signalOffsets(source: String, topic: String) -> [Int32: Int64] {
    contents.withLock { $0.signals[Name(source: source, sink: topic)] ?? [:] }
  }

  func save(signalOffset: Int64, of partition: Int32, topic: String, source: String) {
    contents.withLock {
      $0.signals[Name(source: source, sink: topic), default: [:]][partition] = signalOffset
    }
  }

  func owe(_ comparison: OwedComparison) {
    contents.withLock { $0.owed[comparison.origin.source] = comparison }
  }

  func owedComparison(source: String) -> OwedComparison? {
    contents.withLock { $0.owed[source] }
  }

  func settle(_ comparison: OwedComparison) {
    contents.withLock { contents in
      guard contents.owed[comparison.origin.source] == comparison else { return }
      contents.owed[comparison.origin.source] = nil
    }
  }

  func record(_ gap: Gap) {
    contents.withLock { contents in
      var ledger = contents.gaps[gap.source] ?? []
      guard ledger.last?.repeats(gap) != true else { return }
      ledger.append(gap)
      contents.gaps[gap.source] = ledger.suffix(Limits.gaps)
    }
  }

  func gaps(source: String) -> [Gap] { contents.withLock { $0.gaps[source] ?? [] } }

  func prune(_ origin: SourceOrigin, before lsn: LSN) {
    contents.withLock { contents in
      for other in contents.keys.keys where other.source == origin.source && other != origin {
        contents.keys[other] = nil
      }
      for table in contents.keys[origin, default: [:]].keys {
        contents.keys[origin]?[table]?.prune(before: lsn)
      }
    }
  }
}
