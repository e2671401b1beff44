/// `config migrate`: the Go program's configuration in today's form, on standard output.
enum MigrateCommand {
  /// Prints the new text; the old file is only read.
  static func run(_ path: String) throws(StreamerError) -> Int32 {
    do throws(ConfigurationErrors) {
      Terminal.print(try ConfigurationMigration.migrate(path: path))
      return 0
    } catch {
      error.complain()
      return error.exit.rawValue
    }
  }
}

extension ConfigurationErrors {
  /// Writes each error as a line of its own to standard error.
  func complain() {
    for line in errors { Terminal.complain("\(line)") }
  }
}
