import PGWire

/// The commands about what a source leaves behind: its positions, its slot.
extension CommandLineSyntax {
  private static let yes = CommandLineOption("--yes", "-y", summary: "do not ask")
  private static let sink = CommandLineOption(
    "--sink", value: "NAME", summary: "of this sink only")

  static let positionShow = CommandLineSyntax(
    name: "position show",
    summary: "Show the stored positions of a configuration's sources.",
    usage: "--config FILE",
    discussion: "It only reads, also beside a running instance.",
    options: [configuration],
    examples: [("psql-streamer position show --config shop.toml", "")],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      .position(try given.positionOptions(.show))
    })

  static let positionSet = CommandLineSyntax(
    name: "position set",
    summary: "Move the stored positions of a source, while nothing runs.",
    usage: "LSN --config FILE [--source NAME] [--sink NAME] [--yes]",
    discussion: """
      Back: what was delivered since comes again, as far as the slot still has it (walRetain). On:
      what lies between is never delivered. It says so, and asks.
      """,
    operands: ["LSN"],
    options: [configuration, source, sink, yes],
    examples: [("psql-streamer position set 0/1999C48 --config shop.toml", "")],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      guard let lsn = LSN(given.operands[0]), lsn != .zero else {
        let isZero = LSN(given.operands[0]) != nil
        throw given.usageError(
          given.operands[0].singleLine,
          isZero ? "no change lies there: it stands for no position" : "it is no log position",
          isZero ? "`position reset` forgets the position." : "Such as 16/B374D848.")
      }
      return .position(try given.positionOptions(.set(lsn)))
    })

  static let positionReset = CommandLineSyntax(
    name: "position reset",
    summary: "Forget the stored positions of a source, while nothing runs.",
    usage: "--config FILE [--source NAME] [--sink NAME] [--yes]",
    discussion: """
      The next start begins where the slot stands, as if it were the first: after replicationSlot
      was renamed, or when the store belongs to another server. It says so, and asks.
      """,
    options: [configuration, source, sink, yes],
    examples: [("psql-streamer position reset --config shop.toml --source shop", "")],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      .position(try given.positionOptions(.reset))
    })

  static let drop = CommandLineSyntax(
    name: "drop",
    summary: "Drop a source's slot, publication and positions: the end of its life.",
    usage: "--config FILE [SOURCE] [--yes]",
    discussion: """
      A slot that nobody reads holds WAL until the server's disk is full. The publication goes when
      createPublication made it and no other source of the file reads it. Nothing is dropped while
      the slot is in use. It says what goes, and asks.
      """,
    optionalOperands: ["SOURCE"],
    options: [configuration, source, yes],
    examples: [("psql-streamer drop --config shop.toml shop", "")],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      let named = try given.value(of: "--source")
      return .drop(
        CommandLineRequest.DropOptions(
          configuration: try given.requiredValue(of: "--config", called: "FILE"),
          source: given.operands.first ?? named, isConfirmed: given.has("--yes")))
    })

  private static let source = CommandLineOption(
    "--source", value: "NAME", summary: "which one, where there are several")
}

extension CommandLineArguments {
  fileprivate func positionOptions(
    _ action: CommandLineRequest.PositionOptions.Action
  ) throws(StreamerError) -> CommandLineRequest.PositionOptions {
    CommandLineRequest.PositionOptions(
      configuration: try requiredValue(of: "--config", called: "FILE"), action: action,
      source: try value(of: "--source"), sink: try value(of: "--sink"),
      isConfirmed: has("--yes"))
  }
}
