import Testing

@testable import Streamer

@Suite struct FileReadingTests {
  @Test func readsAsMuchAsAskedFor() throws {
    // More than one read takes at once; every process has this file.
    let bytes = try FileReading.read("/proc/self/exe", limit: 200_000)
    #expect(bytes.count == 200_000)
    #expect(Array(bytes[1...3]) == Array("ELF".utf8))
    #expect(try FileReading.read("/proc/self/exe", limit: 20) == Array(bytes[..<20]))
    #expect(try FileReading.read("/dev/null", limit: 20).isEmpty)
  }

  @Test(arguments: [("/nonexistent", "No such file or directory"), ("/proc", "Is a directory")])
  func saysWhyItCannot(_ path: String, _ reason: String) {
    #expect(throws: FileReadError(reason: reason)) { try FileReading.read(path, limit: 20) }
  }
}
