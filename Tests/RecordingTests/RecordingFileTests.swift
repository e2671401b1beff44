import Glibc
import PGWire
import Recording
import Support
import Testing

/// Recordings in files.
@Suite struct RecordingFileTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory("recording") }

  private let header = RecordingHeader(
    program: "test", startTime: 1, systemIdentifier: "1", database: "d", slot: "s",
    publications: ["p"])

  private let connection = RecordedConnection(
    serverVersion: "15.1", timeline: 1, host: "h", startLSN: .zero, command: "c", parameters: [])

  /// Writes one entry of bytes.
  private func write(
    _ bytes: [UInt8], to writer: inout RecordingWriter, at now: ContinuousClock.Instant
  ) throws {
    try writer.received(unsafe bytes.span.bytes, now: now)
  }

  /// All that a file gives.
  private func read(_ path: String) throws -> (stream: [UInt8], ending: RecordingReader.Ending?) {
    var reader = try RecordingReader(opening: path)
    var stream: [UInt8] = []
    while try reader.next() != nil { stream += reader.received.bytes }
    return (stream, reader.ending)
  }

  @Test func aFileIsReadToItsEnd() throws {
    let path = directory.file("a.rec")
    let now = ContinuousClock.now
    var writer = try RecordingWriter(creating: path, header, compression: .zstd(level: 3), now: now)
    try writer.connected(connection, now: now)
    let bytes = (0..<1_000_000).map { UInt8($0 >> 8 & 0xFF) }
    try write(bytes, to: &writer, at: now)
    try writer.end(messages: 5, transactions: 1, now: now)
    let size = writer.size
    let (stream, ending) = try read(path)
    #expect(stream == bytes)
    let totals = RecordingTotals(bytes: bytes.count, messages: 5, transactions: 1, connections: 1)
    #expect(ending == .complete(totals))
    #expect(try FileBytes.bytes(of: path).count == size)
    #expect(size < bytes.count / 10)
  }

  /// A block is written when it is full or its time has come, and what is durable can be read while
  /// the writer goes on.
  @Test func aBlockIsWrittenInTime() throws {
    let path = directory.file("b.rec")
    let now = ContinuousClock.now
    var writer = try RecordingWriter(creating: path, header, compression: .none, now: now)
    let empty = writer.deadline
    #expect(empty == nil)
    try writer.connected(connection, now: now)
    try write([1, 2, 3], to: &writer, at: now + .milliseconds(10))
    let due = writer.deadline
    let deadline = try #require(due)
    #expect(deadline == now + RecordingFormat.blockInterval)
    try writer.writeIfDue(now: deadline - .microseconds(1))
    #expect(try read(path).stream == [])
    try writer.writeIfDue(now: deadline)
    let (stream, ending) = try read(path)
    let size = writer.size
    #expect(stream == [1, 2, 3] && ending == .cut(offset: size))
    let none = writer.deadline
    #expect(none == nil)

    var reader = try RecordingReader(opening: path)
    while try reader.next() != nil {}
    try write([4], to: &writer, at: deadline)
    try writer.flush()
    let entry = try reader.next()
    #expect(entry?.content == .received(1))
    try write(
      [UInt8](repeating: 5, count: 3 * RecordingFormat.blockSize), to: &writer, at: deadline)
    #expect(try read(path).stream.count > 2 * RecordingFormat.blockSize)
  }

  @Test func anExistingFileIsLeftAlone() throws {
    let path = directory.file("c.rec")
    try FileBytes.write("precious", to: path)
    do throws(RecordingError) {
      _ = try RecordingWriter(creating: path, header, compression: .none, now: .now)
      Issue.record("the file was replaced")
    } catch {
      #expect(error.reason == .system(operation: "cannot create it", errno: EEXIST))
    }
    #expect(try FileBytes.text(of: path) == "precious")
  }

  /// In a process of its own, since the limit on files' sizes is the process's: it fails as a full
  /// disk does, in the middle of a write.
  @Test func aFullDiskLeavesWholeBlocks() async {
    await #expect(processExitsWith: .success) {
      let test = try RecordingFileTests()
      let path = test.directory.file("d.rec")
      let now = ContinuousClock.now
      var writer = try RecordingWriter(creating: path, test.header, compression: .none, now: now)
      try writer.connected(test.connection, now: now)
      try test.write([1, 2, 3], to: &writer, at: now)
      try writer.flush()
      let size = writer.size
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: rlim_t(size + 1000), rlim_max: rlim_t(size + 1000))
      _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      do throws(RecordingError) {
        let large = [UInt8](repeating: 7, count: 5000)
        try writer.received(unsafe large.span.bytes, now: now)
        try writer.flush()
        exit(2)
      } catch {
        guard error.reason == .system(operation: "cannot write it", errno: EFBIG) else { exit(3) }
      }
      let (stream, ending) = try test.read(path)
      guard stream == [1, 2, 3], ending == .cut(offset: size) else { exit(4) }
    }
  }

  @Test func aFileWithoutAHeaderIsAnError() throws {
    let path = directory.file("e.rec")
    try FileBytes.write(bytes: Array(RecordingFormat.magic), to: path)
    do throws(RecordingError) {
      _ = try RecordingReader(opening: path)
      Issue.record("a header was read")
    } catch { #expect(error.reason == .cutHeader) }
    do throws(RecordingError) {
      _ = try RecordingReader(opening: directory.file("none"))
      Issue.record("a file was opened")
    } catch { #expect(error.description == "cannot open it: No such file or directory") }
  }
}
