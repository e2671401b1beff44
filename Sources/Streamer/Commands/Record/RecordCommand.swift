import Glibc
import PGWire

/// `record`: what a server sends, into a file, until a signal or a limit.
enum RecordCommand {
  /// Records; 0 when it was told to end or a limit was reached.
  static func run(_ options: CommandLineRequest.RecordOptions) throws(StreamerError) -> Int32 {
    // Before any other thread, which would get the signals instead.
    let interruption = try Interruption()
    switch options.source {
    case .configuration(let path, let name):
      let configuration: Configuration
      do throws(ConfigurationErrors) { configuration = try Configuration.load(path: path) } catch {
        error.complain()
        return error.exit.rawValue
      }
      let (source, postgres) = try configuration.postgresSource(named: name)
      if !postgres.temporary {
        Terminal.complain(
          "slot \(postgres.replicationSlot) moves on with this recording: what it holds is sent "
            + "to nobody else")
      }
      return try record((source.name, postgres), reconnects: true, options, interruption)
    case .server(let dsn, .publication(let name)):
      _ = try dsn.dsn(for: "record")
      return try record(
        try source(dsn, publication: name), reconnects: false, options, interruption)
    case .server(let dsn, .tables(let names)):
      var publication = try TailPublication.create(
        of: try names.map { (name) throws(StreamerError) in try TailTable(name) }, dsn, interruption
      )
      defer { publication.drop() }
      return try record(
        try source(dsn, publication: publication.name), reconnects: false, options, interruption)
    }
  }

  /// One source on a temporary slot, whose first failure is the end, as for `tail`.
  private static func source(
    _ dsn: Secret, publication: String
  ) throws(StreamerError) -> (name: String, PostgresSourceConfiguration) {
    let configuration = try Configuration.own(
      """
      [source.record]
      type = "postgres"
      dsn = "${DSN}"
      publication = "${PUBLICATION}"
      replicationSlot = "psql_streamer_record_\(getpid())"
      temporary = true
      onGap = "accept"
      timeout = "10s"
      [sink.none]
      type = "stub_discard"
      sources = ["record"]
      """, values: ["DSN": dsn.revealed, "PUBLICATION": publication])
    let (source, postgres) = try configuration.postgresSource(named: nil)
    return (source.name, postgres)
  }

  private static func record(
    _ source: (name: String, PostgresSourceConfiguration), reconnects: Bool,
    _ options: CommandLineRequest.RecordOptions,
    _ interruption: borrowing Interruption
  ) throws(StreamerError) -> Int32 {
    let isTerminal = LiveLine.isPossible
    var recorder = StreamRecorder(
      source.name, source.1, reconnects: reconnects, to: options.output, options.limits,
      log: Log(level: .error, descriptor: -1), interruption: interruption.breaker)
    var nextProgress = ContinuousClock.now
    do throws(StreamerError) {
      try recorder.run(interruption) { summary in
        guard isTerminal, ContinuousClock.now >= nextProgress else { return }
        nextProgress = .now + .milliseconds(500)
        LiveLine.show(text(summary))
      }
    } catch {
      LiveLine.end()
      guard recorder.hasBegun else { throw error }
      let end = "Everything up to \(recorder.summary.complete) is in \(options.output)."
      throw StreamerError(
        what: error.what, why: error.why,
        hint: [error.hint, end].filter { !$0.isEmpty }.joined(separator: " "), exit: error.exit)
    }
    LiveLine.end()
    Terminal.complain("\(text(recorder.summary)), in \(options.output)")
    return 0
  }

  private static func text(_ summary: StreamRecorder.Summary) -> String {
    "recorded \(summary.transactions) transactions, \(summary.messages) messages, "
      + "\(summary.bytes) bytes in \(summary.duration.components.seconds)s "
      + "(\(summary.fileSize) in the file)"
  }
}

extension Configuration {
  /// The PostgreSQL source of that name, or the only one.
  func postgresSource(
    named name: String?
  ) throws(StreamerError) -> (SourceConfiguration, PostgresSourceConfiguration) {
    let found = sources.compactMap {
      source -> (SourceConfiguration, PostgresSourceConfiguration)? in
      guard case .postgres(let postgres) = source.kind else { return nil }
      return name == nil || source.name == name ? (source, postgres) : nil
    }
    guard let first = found.first else {
      throw StreamerError(
        what: name.map { "source \($0.singleLine)" } ?? "configuration",
        why: "it has no postgres source\(name == nil ? "" : " of that name")", exit: .usage)
    }
    guard found.count == 1 else {
      let names = found.map(\.0.name).joined(separator: ", ")
      throw StreamerError(
        what: "configuration", why: "it has several postgres sources: \(names)",
        hint: "Write --source NAME.", exit: .usage)
    }
    return first
  }
}
