import Glibc
import PGWire
import Support
import Testing

@testable import Streamer

/// Whatever a crash, a disk or a person does to a store's files, it is refused, or reads as it was at
/// some time: never as something that was not saved.
@Suite struct SQLiteDamageTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/positions.db" }

  init() throws { directory = try TemporaryDirectory() }

  private static let positions = (1...4).map { somePosition(lsn: LSN(UInt64($0) << 32)) }
  private static let gaps = (1...3).map {
    Gap(
      source: "db", from: LSN(UInt64($0)), to: nil, kind: .slotMoved, cause: "moved \($0)",
      action: .stop, at: UTCTime(microseconds: Int64($0)))
  }

  /// The files of a store as a power failure leaves them: positions and gaps in its log alone.
  private func torn() throws -> (file: [UInt8], log: [UInt8]) {
    let store = try SQLitePositionStore(path: path)
    for (index, position) in Self.positions.enumerated() {
      try store.save([position])
      if index < Self.gaps.count { try store.record(Self.gaps[index]) }
    }
    return (directory.read("positions.db"), directory.read("positions.db-wal"))
  }

  private func damage(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
    var bytes = bytes
    let place = Int.random(in: 0..<bytes.count, using: &random)
    switch Int.random(in: 0..<4, using: &random) {
    case 0: bytes.removeSubrange(place...)
    case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 2:
      for index in place..<min(place + 512, bytes.count) { bytes[index] = 0 }
    default:
      // A sector that another one was written to.
      let from = Int.random(in: 0..<bytes.count, using: &random) & ~511
      for index in 0..<512 where from + index < bytes.count && place + index < bytes.count {
        bytes[place + index] = bytes[from + index]
      }
    }
    return bytes
  }

  @Test func `A damaged store reads as it was at some time, or not at all`() throws {
    let (file, log) = try torn()
    #expect(!log.isEmpty)
    var random = SeededRandom("store damage")
    var (refused, read) = (0, Set<LSN?>())
    for run in 0..<300 {
      let inLog = Bool.random(using: &random)
      for name in directory.names { _ = unsafe unlink("\(directory.path)/\(name)") }
      directory.write("positions.db", inLog ? file : damage(file, &random))
      directory.write("positions.db-wal", inLog ? damage(log, &random) : log)
      do {
        let store = try SQLitePositionStore(path: path)
        let found = try store.load(source: "db")
        let gaps = try store.gaps(source: "db")
        #expect(found.isEmpty || Self.positions.contains { [$0] == found }, "run \(run)")
        #expect(gaps == Array(Self.gaps.prefix(gaps.count)), "run \(run)")
        read.insert(found.first?.lsn)
      } catch {
        refused += 1
      }
    }
    // Runs that all end alike would prove nothing.
    #expect(refused > 10 && read.count > 2, "\(refused) refused, \(read)")
  }

  @Test func `A file that was put back beside a newer log is not taken for it`() throws {
    let old: [UInt8]
    do {
      let store = try SQLitePositionStore(path: path)
      try store.save([Self.positions[0]])
      old = directory.read("positions.db")
    }
    let (_, log) = try torn()
    for name in directory.names { _ = unsafe unlink("\(directory.path)/\(name)") }
    directory.write("positions.db", old)
    directory.write("positions.db-wal", log)
    let found = try? SQLitePositionStore(path: path).load(source: "db")
    #expect(found == nil || found == [] || Self.positions.contains { [$0] == found })
  }
}
