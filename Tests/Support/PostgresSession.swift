import Synchronization

/// One open psql session, for transactions that overlap with others.
public final class PostgresSession: Sendable {
  private let process: Subprocess
  private let marks = Mutex(0)

  init(psql: String, arguments: [String]) throws {
    process = try Subprocess(psql, arguments, interactive: true)
  }

  /// Runs SQL, waits until it is done, and returns the rows as `PostgresServer.psql` does.
  ///
  /// - Throws: `SupportError` when a statement fails, which ends the session.
  @discardableResult public func run(
    _ sql: String, within limit: Duration = .seconds(60)
  ) throws -> String {
    let mark = marks.withLock { number in
      number += 1
      return "--mark-\(number)--"
    }
    let before = process.standardOutput.utf8.count
    process.write("\(sql)\n;\n\\echo \(mark)\n")
    try eventually(within: limit, every: .milliseconds(2), "the end of \(sql.prefix(80))") {
      if process.standardOutput.hasSuffix("\(mark)\n") { return true }
      guard process.isRunning else {
        throw SupportError("psql ended: \(process.standardError)")
      }
      return false
    }
    let answer = process.standardOutput.utf8.dropFirst(before).dropLast(mark.utf8.count + 1)
    return String(answer.last == UInt8(ascii: "\n") ? answer.dropLast() : answer) ?? ""
  }

  /// Hands SQL over that is not waited for.
  public func send(_ sql: String) { process.write("\(sql)\n;\n") }

  /// Ends the session; an open transaction is rolled back.
  public func close() {
    process.closeInput()
    _ = try? process.wait(within: .seconds(10))
  }
}
