import PGWire
import Support

/// docs/COMPATIBILITY.md: what servers did when they were asked.
struct CompatibilityPage {
  /// What real servers did, by major version and title.
  let seen: [Int: MatrixResult]

  /// The versions of the table; those that nobody can install are spoken for by scripted bytes.
  static let versions = [10, 13, 14, 15, 16, 17, 18]
  /// Those that cannot be installed.
  static let imitated = [10, 14]
  static let path = "\(Binary.project)/docs/COMPATIBILITY.md"

  var text: String {
    let rows = MatrixCheck.Chapter.allCases.map { chapter in
      let checks = MatrixCheck.all.filter { $0.chapter == chapter }
      let head = Self.row(chapter.rawValue, Self.versions.map { "\($0)" })
      let rule = Self.row("---", Self.versions.map { _ in "---" })
      return ([head, rule] + checks.map(row)).joined(separator: "\n")
    }
    return Self.preface + "\n" + versionsLine + "\n\n" + rows.joined(separator: "\n\n") + "\n"
  }

  private var versionsLine: String {
    let known = seen.filter { !Self.imitated.contains($0.key) }.sorted { $0.key < $1.key }
      .map { "\($0.value.version)" }
    return "Seen on \(known.joined(separator: ", "))."
  }

  private func row(_ check: MatrixCheck) -> String {
    Self.row(check.title, Self.versions.map { cell(check, $0) })
  }

  private func cell(_ check: MatrixCheck, _ major: Int) -> String {
    if let seen = seen[major]?.seen[check.title] {
      return Self.imitated.contains(major) ? "\(seen.text) \\*" : seen.text
    }
    return major >= check.since ? "(yes)" : "(no)"
  }

  private static func row(_ title: String, _ cells: [String]) -> String {
    "| \(title) | " + cells.joined(separator: " | ") + " |"
  }

  /// The table's cells by title and version, for a comparison without minor versions.
  static func cells(of text: String) -> [String: [Int: String]] {
    var all: [String: [Int: String]] = [:]
    for line in text.split(separator: "\n") where line.hasPrefix("| ") {
      let fields = line.dropFirst(2).dropLast(2).split(
        separator: " | ", omittingEmptySubsequences: false)
      guard fields.count == versions.count + 1 else { continue }
      for (version, cell) in zip(versions, fields.dropFirst()) {
        all[String(fields[0]), default: [:]][version] = String(cell)
      }
    }
    return all
  }

  private static let preface = """
    # Compatibility

    Written by `make compatibility` from what servers did; every test run compares it with what they do.
    `yes` and `no` were seen on a real server of that version, a `no` with the SQLSTATE of the refusal or
    what happens instead; `not in this build` is an option of the server's build, not of its version.
    PostgreSQL 10 and 14 cannot be installed beside the others: `*` marks what the client saw in a
    conversation with scripted bytes of such a server; (yes) and (no) are believed and were not tried.

    """
}

/// What one server did.
struct MatrixResult: Sendable {
  let version: ServerVersion
  let isImitated: Bool
  let seen: [String: Seen]
}
