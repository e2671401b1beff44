import CLinux
import Glibc
import PGWire
import Support
import Testing

@testable import Streamer

@Suite("Lines on standard output", .timeLimit(.minutes(15)))
struct StandardOutputTests {
  @Test(
    "a write that nobody reads is left behind when it is given up (S9)", arguments: [true, false])
  func abandoned(byClosing: Bool) throws {
    let bench = try SinkBench.standardOutput()
    try bench.stall?()
    try bench.send(
      0, (0..<100).map { "{\"n\":\($0),\"filler\":\"\(String(repeating: "x", count: 99))\"}" })
    try bench.turn()
    #expect(bench.isWriting)
    if byClosing { bench.sink.close(within: .seconds(60)) } else { bench.sink.abandon() }
    let error = try bench.failure()
    #expect(error == LineOutput.givenUp)
    #expect(error.isRetryable)
    #expect(bench.total.records == 0)
  }

  @Test("a pipe that is full costs no time on a processor")
  func noSpinning() throws {
    let pipe = try TestPipe()
    let output = try LineOutput(
      .standardOutput(StandardOutput(pipe.writing, StandardOutput.Line())))
    try output.open()
    pipe.fill()
    let used = Box(Duration.zero)
    let thread = try PosixThread(name: "writer") {
      _ = output.write(Array("{}\n".utf8))
      var time = timespec()
      unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      used.set(.seconds(time.tv_sec) + .nanoseconds(time.tv_nsec))
    }
    pause(.seconds(1))
    output.abandon()
    thread.join()
    #expect(used.value < .milliseconds(200))
  }

  @Test("a line that was cut is ended before the next one, the pipe stays as it was for others")
  func cutLine() throws {
    let pipe = try TestPipe()
    let line = StandardOutput.Line()
    let first = try LineOutput(.standardOutput(StandardOutput(pipe.writing, line)))
    try first.open()
    let long = Array("{\"a\":\"\(String(repeating: "x", count: 9000))\"}\n".utf8)
    let thread = try PosixThread(name: "writer") { _ = first.write(long) }
    try eventually(every: .milliseconds(1)) { pipe.isFull }
    first.abandon()
    thread.join()
    first.close()
    pipe.empty()
    #expect(fcntl(pipe.writing, F_GETFL) & O_NONBLOCK == 0)
    let second = try LineOutput(.standardOutput(StandardOutput(pipe.writing, line)))
    try second.open()
    #expect(second.write(Array("{\"b\":1}\n".utf8)) == nil)
    #expect(second.write(Array("{\"b\":2}\n".utf8)) == nil)
    #expect(pipe.take().suffix(17) == Array("\n{\"b\":1}\n{\"b\":2}\n".utf8).suffix(17))
    second.close()
  }

  @Test("a socket, which cannot be opened again, is left behind as well")
  func socket() throws {
    var ends: [CInt] = [-1, -1]
    #expect(unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
    defer { for end in ends { close(end) } }
    let output = try LineOutput(
      .standardOutput(StandardOutput(ends[1], StandardOutput.Line())))
    try output.open()
    let result = Box<[StreamerError?]>([])
    let thread = try PosixThread(name: "writer") {
      let error = output.write([UInt8](repeating: 0x7B, count: 4 << 20))
      result.change { $0.append(error) }
    }
    var room = pollfd(fd: ends[1], events: Int16(POLLOUT), revents: 0)
    try eventually(every: .milliseconds(1)) { unsafe poll(&room, 1, 0) == 0 }
    output.close()
    thread.join()
    #expect(result.value == [LineOutput.givenUp])
  }
}

@Suite("Lines in a file")
struct LineFileTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/events" }

  init() throws { directory = try TemporaryDirectory() }

  private func open() throws {
    let output = try LineOutput(.file(LineFile(path: path, rotateSize: nil)))
    defer { output.close() }
    try output.open()
    #expect(output.write(Array("{\"new\":1}\n".utf8)) == nil)
  }

  private func text() -> String { String(decoding: directory.read("events"), as: UTF8.self) }

  @Test("A9 a file is its owner's alone unless its mode says otherwise", arguments: [0o600, 0o640])
  func mode(_ mode: mode_t) throws {
    let old = umask(0)
    defer { umask(old) }
    let output = try LineOutput(.file(LineFile(path: path, rotateSize: 1, mode: mode)))
    defer { output.close() }
    try output.open()
    for _ in 0..<2 { #expect(output.write(Array("{\"new\":1}\n".utf8)) == nil) }
    for name in directory.names {
      var status = stat()
      #expect(unsafe stat("\(directory.path)/\(name)", &status) == 0)
      #expect(status.st_mode & 0o777 == mode, "\(name)")
    }
    #expect(directory.names.count == 3)
  }

  @Test(
    "a line that a crash left unfinished is cut off, an event that lacks only its end stays",
    arguments: [
      ("", ""), ("{\"a\":1}\n", "{\"a\":1}\n"), ("{\"a\":1}\n{\"b\":", "{\"a\":1}\n"),
      ("{\"a\":", ""), ("{", ""), ("{\"a\":\"}\\\"", ""), ("{\"a\":[{}", ""),
      ("{\"a\":\"\\\\\"}", "{\"a\":\"\\\\\"}\n"),
      ("{\"a\":1}\n{\"b\":{}}", "{\"a\":1}\n{\"b\":{}}\n"),
    ])
  func recovery(_ before: String, _ kept: String) throws {
    directory.write("events", Array(before.utf8))
    try open()
    #expect(text() == kept + "{\"new\":1}\n")
  }

  @Test("an unfinished line longer than what is looked at at once is cut off whole")
  func longLine() throws {
    let long = "{\"a\":\"" + String(repeating: "x", count: Limits.lineBlockBytes * 2)
    directory.write("events", Array(("{\"a\":1}\n" + long).utf8))
    try open()
    #expect(text() == "{\"a\":1}\n{\"new\":1}\n")
  }

  @Test(
    "a file of somebody else is refused and left as it is (A9)",
    arguments: [
      Array("#!/bin/sh\nexit 0\n".utf8), Array("no line feed".utf8),
      [0x7F, 0x45, 0x4C, 0x46, 0, 1],
      Array("{\n  \"pretty\": true\n}".utf8), Array("{\"a\":1}\ntext".utf8), [0x0A],
      Array("{\"a\":1}\n{\"b\":".utf8) + [0], Array("{\"a\":1} {\"b\":1}".utf8),
    ])
  func foreign(_ before: [UInt8]) throws {
    directory.write("events", before)
    let error = #expect(throws: StreamerError.self) { try open() }
    #expect(error?.exit == .preflight)
    #expect(error?.isRetryable == false)
    #expect(error?.description.contains(path) == true)
    #expect(directory.read("events") == before)
  }

  @Test(
    "neither links are followed nor pipes written to (A9)", arguments: ["link", "dangling", "pipe"])
  func places(_ what: String) throws {
    switch what {
    case "link":
      directory.write("precious", Array("{\"half".utf8))
      #expect(unsafe symlink(directory.path + "/precious", path) == 0)
    case "dangling": #expect(unsafe symlink(directory.path + "/precious", path) == 0)
    default: #expect(unsafe mkfifo(path, 0o600) == 0)
    }
    let error = #expect(throws: StreamerError.self) { try open() }
    #expect(error?.exit == .preflight)
    if what == "link" { #expect(directory.read("precious") == Array("{\"half".utf8)) }
    if what == "dangling" { #expect(directory.names == ["events"]) }
  }

  @Test("only its owner may read it, also the next one (A9)")
  func mode() throws {
    let output = try LineOutput(.file(LineFile(path: path, rotateSize: 1)))
    try output.open()
    #expect(output.write(Array("{\"n\":1}\n".utf8)) == nil)
    output.close()
    #expect(directory.names == ["events", "events.1"])
    for name in directory.names {
      var status = stat()
      #expect(unsafe stat("\(directory.path)/\(name)", &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600, "\(name)")
    }
  }

  @Test("a new file's folder is on disk before its lines count, also after rotating (S20)")
  func folder() throws {
    let synced = Box<[String]>([])
    let file = LineFile(path: path, rotateSize: 20) { descriptor in
      var target = [CChar](repeating: 0, count: 4096)
      let count = unsafe readlink("/proc/self/fd/\(descriptor)", &target, target.count)
      let name = String(
        decoding: target.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      synced.change { $0.append(String(name.split(separator: "/").last ?? "")) }
      return fsync(descriptor)
    }
    let folder = String(directory.path.split(separator: "/").last ?? "")
    let output = try LineOutput(.file(file))
    try output.open()
    #expect(synced.value == [folder])
    for _ in 0..<3 { #expect(output.write(Array("{\"n\":1}\n".utf8)) == nil) }
    #expect(synced.value == [folder, "events", "events", "events", folder])
    output.close()
    #expect(directory.names == ["events", "events.1"])
  }

  @Test("a folder that cannot be written to disk keeps what was written from counting (S20)")
  func folderFails() throws {
    let rotated = path + ".1"
    let file = LineFile(path: path, rotateSize: 1) { descriptor in
      guard FileBytes.exists(rotated) else { return fsync(descriptor) }
      errno = EIO
      return -1
    }
    let bench = try SinkBench(try LineSink(try LineOutput(.file(file))))
    try bench.send(0, ["{}"])
    #expect(try bench.failure().description.contains("cannot fsync"))
    #expect(bench.total.records == 0)
  }
}
