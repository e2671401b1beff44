import Glibc
import PGWire

/// `position show|set|reset`: looks at stored positions, and moves them while nothing runs.
enum PositionCommand {
  /// Does it; 1 when the answer to the question was no.
  static func run(_ options: CommandLineRequest.PositionOptions) throws(StreamerError) -> Int32 {
    let configuration: Configuration
    do throws(ConfigurationErrors) {
      let unconnected = try Configuration.loadUnconnected(path: options.configuration)
      configuration =
        unconnected.sinks.contains(where: \.keepsItsPosition)
        ? try Configuration.load(path: options.configuration) : unconnected
    } catch {
      error.complain()
      return error.exit.rawValue
    }
    guard configuration.store != nil || configuration.keepsPositionsInKafka else {
      throw StreamerError(
        what: "position", why: "the configuration keeps no positions", exit: .usage)
    }
    if case .show = options.action {
      return try show(configuration)
    }
    let path = configuration.store
    if let path, unsafe access(path, F_OK) != 0 { throw nothing(configuration) }
    let source = try configuration.postgresSource(named: options.source).0.name
    // Its lock keeps out an instance that would write its own over them.
    let store: any SourceStore =
      if let path { try SQLitePositionStore(path: path) } else { MemoryPositionStore() }
    let kept = KeptPositions(of: configuration, source: source)
    let stored = try kept.replacing(store.load(source: source)).filter {
      options.sink == nil || $0.sink == options.sink
    }
    guard !stored.isEmpty else { throw nothing(configuration) }
    let effects = stored.map { effect(of: options.action, on: $0) } + [warning(options.action)]
    guard
      try Confirmation.ask(effects, isGiven: options.isConfirmed, command: "position")
    else { return StreamerError.Exit.failure.rawValue }
    switch options.action {
    case .show: break
    case .set(let lsn):
      let moved = stored.map { position in
        var moved = position
        moved.lsn = lsn
        return moved
      }
      try kept.save(moved)
      try store.save(moved)
    case .reset:
      try kept.forget(stored)
      for position in stored { try store.forget(source: source, sink: position.sink) }
    }
    return 0
  }

  private static func show(_ configuration: Configuration) throws(StreamerError) -> Int32 {
    var table = TextTable(
      ["SOURCE", "SINK", "POSITION", "SLOT", "DATABASE", "TIMELINE", "SYSTEM"].map { .init($0) })
    var count = 0
    var store: SQLitePositionStore?
    if let path = configuration.store, unsafe access(path, F_OK) == 0 {
      store = try SQLitePositionStore(path: path, readOnly: true)
    }
    for source in configuration.sources {
      let kept = KeptPositions(of: configuration, source: source.name)
      for position in try kept.replacing(store?.load(source: source.name) ?? []) {
        count += 1
        table.add(
          [
            position.source, position.sink, "\(position.lsn)", position.slot, position.database,
            "\(position.timeline)", position.systemIdentifier,
          ].map { .init($0) })
      }
    }
    if count == 0 { Terminal.note("\(place(configuration)) holds no position of these sources.") }
    Terminal.print(table.text)
    try showGaps(of: configuration, store)
    return 0
  }

  /// The newest entries of the ledger; nothing where there is none.
  private static func showGaps(
    of configuration: Configuration, _ store: SQLitePositionStore?
  ) throws(StreamerError) {
    var table = TextTable(["SOURCE", "GAP FROM", "TO", "ACTION", "AT", "CAUSE"].map { .init($0) })
    var count = 0
    for source in configuration.sources {
      for gap in try store?.gaps(source: source.name).suffix(Limits.shownGaps) ?? [] {
        count += 1
        table.add(
          [
            gap.source, gap.from?.description ?? "-", gap.to?.description ?? "-",
            gap.action.rawValue, "\(gap.at)", gap.cause,
          ].map { .init($0) })
      }
    }
    if count > 0 { Terminal.print("\n" + table.text) }
  }

  private static func effect(
    of action: CommandLineRequest.PositionOptions.Action, on position: Position
  ) -> String {
    let subject = "\(position.source) → \(position.sink), now at \(position.lsn)"
    switch action {
    case .show: return subject
    case .reset: return "\(subject): forgotten"
    case .set(let lsn) where lsn < position.lsn:
      return "\(subject): back to \(lsn); what was delivered since comes again"
    case .set(let lsn) where lsn > position.lsn:
      return "\(subject): on to \(lsn); what lies between is never delivered"
    case .set: return "\(subject): stays"
    }
  }

  private static func warning(_ action: CommandLineRequest.PositionOptions.Action) -> String {
    switch action {
    case .show: ""
    case .reset: "The next start begins where the slot stands, as if it were the first."
    case .set:
      "The next start refuses a position before the slot's confirmed_flush_lsn: that WAL is gone."
    }
  }

  private static func place(_ configuration: Configuration) -> String {
    configuration.store ?? "Kafka"
  }

  private static func nothing(_ configuration: Configuration) -> StreamerError {
    StreamerError(
      what: "position store \"\(place(configuration))\"", why: "it holds no such position",
      hint: "`psql-streamer position show` lists them; walPositionOverride names a first one.",
      exit: .preflight)
  }
}
