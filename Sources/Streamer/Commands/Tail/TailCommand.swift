import Glibc
import PGWire

/// `tail`: changes as they commit, one line each on standard output, until a signal.
enum TailCommand {
  /// How long a stop may take before the rest is dropped.
  private static let patience = Duration.seconds(3)

  /// Prints changes; 0 when it was told to end, or nobody reads any more.
  static func run(_ options: CommandLineRequest.TailOptions) throws(StreamerError) -> Int32 {
    // Before any other thread, which would get the signals instead.
    let interruption = try Interruption()
    _ = try options.dsn.dsn(for: "tail")
    switch options.subject {
    case .publication(let name):
      return try stream(options, publication: name, interruption)
    case .tables(let names):
      var publication = try TailPublication.create(
        of: try names.map { (name) throws(StreamerError) in try TailTable(name) }, options.dsn,
        interruption)
      defer { publication.drop() }
      if !publication.insertOnly.isEmpty {
        let tables = publication.insertOnly.joined(separator: ", ")
        Terminal.complain(
          "only inserts and truncates are shown: \(tables) has no replica identity, and the server "
            + "refuses updates and deletes that such a publication would cover")
      }
      return try stream(options, publication: publication.name, interruption)
    }
  }

  private static func stream(
    _ options: CommandLineRequest.TailOptions, publication: String,
    _ interruption: borrowing Interruption
  ) throws(StreamerError) -> Int32 {
    let configuration = try Configuration.own(
      """
      shutdownTimeout = "1s"
      [source.tail]
      type = "postgres"
      dsn = "${DSN}"
      publication = "${PUBLICATION}"
      replicationSlot = "psql_streamer_tail_\(getpid())"
      temporary = true
      onGap = "accept"
      heartbeat = \(options.copies ? "\"10s\"" : "0")
      snapshot = "\(options.copies ? "initial" : "never")"
      timeout = "10s"
      [sink.stdout]
      type = "stdout"
      sources = ["tail"]
      format = "\(options.format.rawValue)"
      """, values: ["DSN": options.dsn.revealed, "PUBLICATION": publication])
    let pipeline = try PipelineThread(
      configuration, store: MemoryPositionStore(), reconnects: false, log: Log(level: .warning))
    wait(
      for: pipeline, interruption, patience: patience,
      line: options.copies ? CopyLine(printsRows: true) : nil)
    do throws(StreamerError) {
      try pipeline.check()
      return 0
    } catch {
      if error.cause == .readerGone { return 0 }
      guard pipeline.hasStarted else { throw named(error, "") }
      let last = LSN(pipeline.source.confirmedLSN.value)
      throw named(error, "Everything up to \(last) was printed.")
    }
  }

  /// The same error about what the user knows, which is no source of a configuration.
  private static func named(_ error: StreamerError, _ more: String) -> StreamerError {
    // What a configuration could say is no remedy here.
    let isSetting = error.hint.contains("createPublication")
    let hint = isSetting ? "Create it, or name tables with --table." : error.hint
    return StreamerError(
      what: "tail", why: error.why.isEmpty ? error.what : error.why,
      hint: [hint, more].filter { !$0.isEmpty }.joined(separator: " "), exit: error.exit)
  }

  /// Waits until the pipeline has ended; a signal, or a reader that has gone, stops it.
  ///
  /// A line says how far its copy of existing rows is.
  static func wait(
    for pipeline: PipelineThread, _ interruption: borrowing Interruption, patience: Duration,
    line: CopyLine? = nil
  ) {
    var line = line
    defer { line?.end() }
    var deadline: ContinuousClock.Instant?
    while !pipeline.hasEnded {
      if let (copied, time) = line?.look([pipeline.source.snapshot]) {
        Terminal.note(CopyLine.summary(copied, time))
      }
      var entries = [
        pollfd(fd: interruption.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: pipeline.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      // A pipe whose reader has gone reports it without being asked; once is enough.
      if deadline == nil { entries.append(pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)) }
      let time = line?.next.map { CInt(max(($0 - .now).inSeconds * 1_000, 0).rounded(.up)) } ?? -1
      _ = unsafe poll(&entries, nfds_t(entries.count), deadline == nil ? time : 100)
      let isReaderGone = entries.count == 3 && entries[2].revents & Int16(POLLERR) != 0
      if interruption.next() != nil || isReaderGone {
        // The second one does not wait.
        if deadline != nil { return }
        deadline = .now + patience
        line?.end()
        pipeline.requestStop()
      }
      if let deadline, .now >= deadline { return }
    }
  }
}
