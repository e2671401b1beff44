import Support
import Testing

@testable import Streamer

/// What is written from the commands' values: the manual page and shell completions.
@Suite struct GeneratedTextTests {
  private static let options = CommandLineSyntax.all.flatMap(\.options)

  @Test func theManualPageTellsOfEveryCommandAndOption() {
    let lines = ManualPage.text.split(separator: "\n", omittingEmptySubsequences: false)
    let plain = ManualPage.text.replacing("\\-", with: "-").replacing("\\(aq", with: "'")
    for command in CommandLineSyntax.all {
      #expect(plain.contains(".SS \"\(command.name)\"\n"))
      #expect(plain.contains(command.summary))
    }
    for option in Self.options {
      for name in option.shownNames { #expect(plain.contains("\\fB\(name)\\fR")) }
    }
    for (code, meaning) in CommandLineHelp.exitCodes {
      #expect(plain.contains(".B \(code)\n\(meaning)\n"))
    }
    // Text that looks like a macro would vanish.
    let macros = [".TH", ".nh", ".SH", ".SS", ".TP", ".PP", ".B", ".BR", ".I", ".EX", ".EE"]
    for line in lines where line.hasPrefix(".") || line.hasPrefix("'") {
      #expect(macros.contains(String(line.prefix { $0 != " " })), "\(line)")
    }
    #expect(ManualPage.text.utf8.allSatisfy { $0 < 0x80 })
    #expect(!plain.contains("\\fB-config"), "what is understood and not advertised")
  }

  /// What bash proposes for the last of the words.
  private func proposals(_ words: [String]) throws -> [String] {
    let script = """
      \(Completions(shell: .bash).text)
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _psql_streamer
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    return try Subprocess.check("bash", ["-c", script, "-", "psql-streamer"] + words)
      .split(separator: "\n").map(String.init)
  }

  @Test func bashProposesCommandsTheirOptionsAndFiles() throws {
    #expect(try proposals(["ru"]) == ["run"])
    #expect(try proposals(["posi"]) == ["position"])
    #expect(Set(try proposals(["position", ""])) == ["show", "set", "reset"])
    #expect(try proposals(["position", "set", "--si"]) == ["--sink"])
    #expect(try proposals(["run", "--conf"]) == ["--config"])
    #expect(try proposals(["completions", "f"]) == ["fish"])
    #expect(Set(try proposals(["help", "re"])) == ["record", "replay"])
    #expect(try proposals(["run", "--config", "/etc/passw"]).contains("/etc/passwd"))
    for command in CommandLineSyntax.all {
      let names = Set(command.options.flatMap(\.shownNames) + ["--help"])
      let words = command.name.split(separator: " ").map(String.init)
      let script = try proposals(words + ["-"])
      #expect(Set(script) == names, "\(command.name)")
    }
  }

  @Test(arguments: Completions.Shell.allCases)
  func everyShellKnowsEveryOption(_ shell: Completions.Shell) {
    let text = Completions(shell: shell).text
    for option in Self.options {
      for name in option.shownNames {
        #expect(text.contains(shell == .fish ? String(name.drop { $0 == "-" }) : name))
      }
    }
  }
}
