import Glibc
import Testing

@testable import Streamer

@Suite struct JournalTests {
  @Test func onlyTheStreamThatTheVariableNamesIsTheJournal() {
    let descriptor = unsafe open("/dev/null", O_WRONLY)
    defer { close(descriptor) }
    var status = stat()
    #expect(unsafe fstat(descriptor, &status) == 0)
    let name = "\(status.st_dev):\(status.st_ino)"
    #expect(Journal.isReader(of: descriptor, variable: name))
    #expect(!Journal.isReader(of: descriptor, variable: name + "0"))
    #expect(!Journal.isReader(of: descriptor, variable: nil))
    #expect(!Journal.isReader(of: -1, variable: name))
  }

  @Test func prioritiesAreSyslogs() {
    #expect(
      Log.Level.allCases.map(Journal.prefix) == ["<7>", "<7>", "<6>", "<4>", "<3>"])
  }
}
