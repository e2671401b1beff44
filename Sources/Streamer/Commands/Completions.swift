/// Shell completions, written from the same values as help.
struct Completions: Hashable, Sendable {
  /// The shells that there are completions for.
  enum Shell: String, CaseIterable, Sendable { case bash, zsh, fish }

  /// Whose completions they are.
  let shell: Shell

  /// The script, to be read by the shell.
  var text: String {
    switch shell {
    case .bash: bash
    case .zsh: zsh
    case .fish: fish
    }
  }

  /// The first words of commands, each with what it does.
  private var firstWords: [(word: String, summary: String)] {
    var words: [(word: String, summary: String)] = []
    for command in CommandLineSyntax.all {
      let parts = command.name.split(separator: " ")
      let word = String(parts[0])
      guard !words.contains(where: { $0.word == word }) else { continue }
      let group = CommandLineSyntax.all.filter { $0.name.hasPrefix("\(word) ") }
      let summary =
        group.isEmpty
        ? command.summary
        : group.map { String($0.name.dropFirst(word.count + 1)) }.joined(separator: ", ")
      words.append((word, summary))
    }
    return words + [("help", "Tell more about a command.")]
  }

  /// The words that may follow each first word: second words, or options.
  private var followers: [(command: String, words: [String])] {
    var lines: [(command: String, words: [String])] = []
    for first in firstWords.map(\.word) {
      let group = CommandLineSyntax.all.filter { $0.name.hasPrefix("\(first) ") }
      if !group.isEmpty {
        lines.append((first, group.map { String($0.name.dropFirst(first.count + 1)) }))
      } else if first == "help" {
        lines.append((first, firstWords.map(\.word).filter { $0 != "help" }))
      }
    }
    for command in CommandLineSyntax.all {
      let operands = command.name == "completions" ? Shell.allCases.map(\.rawValue) : []
      lines.append((command.name, operands + command.options.flatMap(\.shownNames) + ["--help"]))
    }
    return lines
  }

  /// Bash completes words; after an option with a value, and where there is no word, files.
  private var bash: String {
    let valued = Set(CommandLineSyntax.all.flatMap(\.options).filter { $0.value != nil })
      .flatMap(\.shownNames)
    let cases = followers.map {
      "    \"\($0.command)\") words=\"\($0.words.joined(separator: " "))\" ;;"
    }
    return """
      # bash completion for psql-streamer
      _psql_streamer() {
        local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words= command
        COMPREPLY=()
        case $previous in
          \(Set(valued).sorted().joined(separator: "|")))
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return ;;
        esac
        command="${COMP_WORDS[1]}"
        case $command in
          \(groups.joined(separator: "|"))) [ "$COMP_CWORD" -le 2 ] || command+=" ${COMP_WORDS[2]}" ;;
        esac
        [ "$COMP_CWORD" -gt 1 ] || command=
        case $command in
          "") words="\(firstWords.map(\.word).joined(separator: " ")) --help --version" ;;
      \(cases.joined(separator: "\n"))
        esac
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
      }
      complete -o filenames -F _psql_streamer psql-streamer

      """
  }

  /// The first words of commands of two words.
  private var groups: [String] {
    firstWords.map(\.word).filter { word in
      CommandLineSyntax.all.contains { $0.name.hasPrefix("\(word) ") }
    }
  }

  /// Zsh shows what each word does.
  private var zsh: String {
    let commands = firstWords.map { "    \(quoted("\($0.word):\($0.summary)"))" }
    var cases: [String] = []
    for group in groups {
      let members = CommandLineSyntax.all.filter { $0.name.hasPrefix("\(group) ") }
      let words = members.map { quoted("\($0.name.dropFirst(group.count + 1)):\($0.summary)") }
      cases.append(
        "    \(group)) if (( CURRENT == 3 )); then local -a words2=(\(words.joined(separator: " "))); "
          + "_describe command words2; return; fi ;;")
    }
    let options = CommandLineSyntax.all.map { command in
      let specs = command.options.flatMap { option in
        option.shownNames.map { name in
          let what = option.summary.replacing("[", with: "(").replacing("]", with: ")")
            .replacing(":", with: "\\:")
          return quoted("*\(name)[\(what)]" + (option.value.map { ":\($0):_files" } ?? ""))
        }
      }
      return
        "    \(quoted(command.name))) _arguments \((specs + ["'*:file:_files'"]).joined(separator: " ")) ;;"
    }
    return """
      #compdef psql-streamer
      # zsh completion for psql-streamer
      _psql_streamer() {
        local -a commands=(
      \(commands.joined(separator: "\n"))
        )
        if (( CURRENT == 2 )); then _describe command commands; return; fi
        local command=$words[2]
        case $command in
      \(cases.joined(separator: "\n"))
          help) _describe command commands; return ;;
        esac
        case $command in
          \(groups.joined(separator: "|"))) command+=" $words[3]" ;;
        esac
        case $command in
      \(options.joined(separator: "\n"))
        esac
      }
      _psql_streamer "$@"

      """
  }

  /// Fish shows what each word does.
  private var fish: String {
    var lines = ["# fish completion for psql-streamer"]
    let none = "-n __fish_use_subcommand -f"
    for (word, summary) in firstWords {
      lines.append("complete -c psql-streamer \(none) -a \(word) -d \(quoted(summary))")
    }
    for command in CommandLineSyntax.all {
      let parts = command.name.split(separator: " ")
      let seen = parts.map { "__fish_seen_subcommand_from \($0)" }.joined(separator: "; and ")
      if parts.count == 2 {
        let second = CommandLineSyntax.all.filter { $0.name.hasPrefix("\(parts[0]) ") }
          .map { String($0.name.dropFirst(parts[0].count + 1)) }.joined(separator: " ")
        lines.append(
          "complete -c psql-streamer -n '__fish_seen_subcommand_from \(parts[0]); "
            + "and not __fish_seen_subcommand_from \(second)' -f "
            + "-a \(parts[1]) -d \(quoted(command.summary))")
      }
      for option in command.options {
        let names = option.shownNames.map { name in
          name.hasPrefix("--") ? "-l \(name.dropFirst(2))" : "-s \(name.dropFirst())"
        }
        lines.append(
          "complete -c psql-streamer -n '\(seen)' \(names.joined(separator: " "))"
            + (option.value == nil ? "" : " -r") + " -d \(quoted(option.summary))")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// A word of a shell, whatever it holds.
  private func quoted(_ text: String) -> String {
    shell == .fish
      ? "'\(text.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'"
      : "'\(text.replacing("'", with: "'\\''"))'"
  }
}
