import Glibc

/// Asks before a command does what cannot be undone.
enum Confirmation {
  /// Shows what is going to happen on standard error, and asks unless `isGiven`; false when the
  /// answer is no.
  ///
  /// Throws an error of use where nobody can answer.
  static func ask(_ effects: [String], isGiven: Bool, command: String) throws(StreamerError) -> Bool
  {
    for line in effects { Terminal.note(line) }
    if isGiven { return true }
    guard isatty(STDIN_FILENO) == 1 else {
      throw StreamerError(
        what: command, why: "it asks before, and standard input is no terminal",
        hint: "Write --yes.", exit: .usage)
    }
    Terminal.note("Go on? Type yes:")
    let answer = readLine()?.lowercased()
    if answer == "yes" || answer == "y" { return true }
    Terminal.note("Nothing was changed.")
    return false
  }
}
