import PGWire
import Synchronization

/// A store that lasts as long as the process: for tests and for temporary slots.
final class MemoryPositionStore: PositionStore {
  private struct Contents {
    var positions: [Name: Position] = [:]
    var overrides: [String: LSN] = [:]
    var keys: [Table: [String]] = [:]

    mutating func save(_ positions: [Position]) {
      for position in positions {
        self.positions[Name(source: position.source, sink: position.sink)] = position
      }
    }
  }
  private struct Name: Hashable { let source, sink: String }
  private struct Table: Hashable {
    let source: String
    let oid: UInt32
    let columns: [String]
  }

  private let contents = Mutex(Contents())

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

  func appliedOverride(source: String) -> LSN? { contents.withLock { $0.overrides[source] } }

  func applyOverride(_ value: LSN, source: String, positions: [Position]) {
    contents.withLock { contents in
      contents.save(positions)
      contents.overrides[source] = value
    }
  }

  func keyColumns(source: String, relationOID: UInt32, columns: [String]) -> [String]? {
    contents.withLock { contents in
      contents.keys[Table(source: source, oid: relationOID, columns: columns)]
    }
  }

  func rememberKeyColumns(
    _ key: [String], source: String, relationOID: UInt32, columns: [String]
  ) {
    contents.withLock { contents in
      contents.keys[Table(source: source, oid: relationOID, columns: columns)] = key
    }
  }
}
