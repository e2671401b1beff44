import Glibc

/// PostgreSQL's server programs on this machine.
struct ServerPrograms {
  /// The folder of `initdb` and `postgres`.
  let directory: String

  /// Finds the newest version of Debian's packages, or else what PATH has.
  ///
  /// Throws `StreamerError` when there is none.
  static func find() throws(StreamerError) -> ServerPrograms {
    let root = "/usr/lib/postgresql"
    let versions = FileTree.names(in: root).compactMap { Int($0) }.sorted(by: >)
    let path = ProcessEnvironment.value(of: "PATH") ?? ""
    let candidates =
      versions.map { "\(root)/\($0)/bin" } + path.split(separator: ":").map(String.init)
    for directory in candidates
    where ["initdb", "postgres"].allSatisfy({ name in
      unsafe access("\(directory)/\(name)", X_OK) == 0
    }) {
      return ServerPrograms(directory: directory)
    }
    throw StreamerError(
      what: "no PostgreSQL on this machine",
      why: "initdb and postgres are neither below \(root) nor in PATH",
      hint: "apt-get install postgresql", exit: .preflight)
  }

  /// The path of a program.
  func path(_ name: String) -> String { "\(directory)/\(name)" }
}
