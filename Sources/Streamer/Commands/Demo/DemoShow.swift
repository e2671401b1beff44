import Glibc
import PGWire

/// Plays the story, waits for what must arrive of it, and shows it.
struct DemoShow: ~Copyable {
  /// How long something that was committed may take to arrive.
  private static let patience = Duration.seconds(15)
  /// How much of a record's value is shown, in characters.
  private static let shownCharacters = 900

  private let pipeline: PipelineThread
  private let format: FormatConfiguration.Name
  private var reader: DemoReader
  private let interruption: Interruption
  private let style = TerminalStyle()
  private var expected: [String: Int] = [:]
  private var rate = 0

  init(
    _ pipeline: PipelineThread, _ format: FormatConfiguration.Name, reader: consuming DemoReader,
    interruption: consuming Interruption
  ) {
    self.pipeline = pipeline
    self.format = format
    self.reader = reader
    self.interruption = interruption
  }

  /// Waits until changes flow.
  mutating func awaitStreaming() throws(StreamerError) {
    let deadline = ContinuousClock.now + Self.patience
    while !pipeline.source.state.state.isUp {
      try pipeline.check()
      guard .now < deadline else {
        throw StreamerError(
          what: "demo", why: "streaming did not start: \(pipeline.source.state.error ?? "")")
      }
      try interruption.pause(.milliseconds(5))
    }
  }

  /// Shows the rows that were there before.
  mutating func showExisting() throws(StreamerError) {
    let step = DemoStory.existing
    Terminal.print("\(style.bold(step.title))\n\(step.sql.indented(by: 2))\n\n")
    expect(step.records(format))
    try collect(count: expected.values.reduce(0, +)) { (_: Int) in }
    for (record, value) in reader.takeRecords() {
      show(record, value)
      guard ["read", "r", nil].contains(Self.action(of: value)) else {
        throw StreamerError(what: "demo", why: "a row that was there before did not come as read")
      }
    }
    Terminal.print("\n")
  }

  /// Runs a step's statements and shows the records that come of them.
  mutating func play(_ step: DemoStory.Step, in shop: inout Connection) throws(StreamerError) {
    Terminal.print("\(style.bold(step.title))\n\(step.sql.indented(by: 2))\n\n")
    expect(step.records(format))
    let start = ContinuousClock.now
    do throws(PGError) { _ = try shop.query(step.sql) } catch {
      throw StreamerError(what: "demo", why: "\(error)")
    }
    try collect(count: expected.values.reduce(0, +)) { (_: Int) in }
    let time = milliseconds(ContinuousClock.now - start)
    for (record, value) in reader.takeRecords() { show(record, value) }
    Terminal.print(style.faint("  (arrived \(time) ms after the statements were sent)") + "\n\n")
  }

  /// Lets the load run and shows how fast its records arrive.
  mutating func playLoad(dsn: String) throws(StreamerError) {
    let events = DemoStory.loadEvents
    Terminal.print(
      style.bold("A load: \(DemoStory.transactions) transactions of \(DemoStory.rows) rows each"))
    expect(["orders": events])
    reader.keepsRecords = false
    let before = reader.count
    let load = try DemoLoad(dsn: dsn)
    defer { load.stop() }
    var line = ProgressLine()
    let start = ContinuousClock.now
    try collect(count: expected.values.reduce(0, +)) { (count) throws(StreamerError) in
      try load.check()
      let arrived = count - before
      let rate = Self.rate(arrived, since: start)
      line.show("  \(arrived) of \(events) records arrived, \(rate) a second")
    }
    rate = Self.rate(events, since: start)
    line.end("  \(events) of \(events) records arrived, \(rate) a second")
  }

  /// Stops the pipeline and tells what has become of everything.
  mutating func conclude() throws(StreamerError) -> Int32 {
    pipeline.stop()
    try pipeline.check()
    // Whatever comes once more would come now.
    try interruption.pause(.milliseconds(50))
    try reader.poll()
    let sum = expected.values.reduce(0, +)
    let existing = DemoStory.existing.records(format).values.reduce(0, +)
    let usage = ProcessUsage()
    Terminal.print(
      """

      \(style.bold("Summary"))
        existing    \(existing) rows that were there before
        committed   \(sum - existing) changes that must arrive
        captured    \(pipeline.source.events.value) events
        delivered   \(pipeline.sink.kafkaMessages) records, acknowledged by the broker
        consumed    \(reader.count) records, \(reader.bytes) bytes
        rate        \(rate) records a second, from the first statement of the load to its last record
        CPU         \(usage.cpuMilliseconds) ms, with the broker and the consumer in this process
        memory      \(usage.peakMebibytes) MiB at most, likewise

      """)
    for table in DemoStory.tables {
      let (came, wanted) = (reader.counts[DemoStory.topic(of: table)] ?? 0, expected[table] ?? 0)
      guard came == wanted else {
        throw StreamerError(
          what: "demo", why: "\(wanted) records of \(table) must arrive, \(came) came")
      }
    }
    Terminal.print("Every row and every committed change has arrived, none twice. Cleaning up …")
    return 0
  }

  // MARK: - Parts

  private mutating func expect(_ events: [String: Int]) {
    expected.merge(events, uniquingKeysWith: +)
  }

  private mutating func collect(
    count: Int, _ progress: (Int) throws(StreamerError) -> Void
  ) throws(StreamerError) {
    var (last, deadline) = (reader.count, ContinuousClock.now + Self.patience)
    while true {
      try reader.poll()
      if reader.count >= count { return }
      if reader.count > last { (last, deadline) = (reader.count, .now + Self.patience) }
      try pipeline.check()
      try progress(reader.count)
      guard .now < deadline else {
        throw StreamerError(
          what: "demo",
          why: "only \(reader.count) of \(count) records arrived; the source is "
            + "\(pipeline.source.state.state.rawValue), the sink \(pipeline.sink.state.state.rawValue)"
        )
      }
      try interruption.pause(.milliseconds(1))
    }
  }

  private func show(_ record: DemoReader.Record, _ value: JSONValue) {
    let action = Self.action(of: value) ?? "record"
    let text = String(decoding: record.value, as: UTF8.self)
    let cut = text.count > Self.shownCharacters
    let shown = cut ? "\(text.prefix(Self.shownCharacters))… (\(record.value.count) bytes)" : text
    Terminal.print(
      """
        \(style.bold(action)) → topic \(record.topic), partition \(record.partition), offset \(record.offset)
          key    \(record.key ?? "null")
          value  \(shown)
      """)
  }

  /// What a record says of what happened, where its format does.
  private static func action(of value: JSONValue) -> String? {
    (value["Action"] ?? value["op"])?.string
  }

  private func milliseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
  }

  private static func rate(_ count: Int, since start: ContinuousClock.Instant) -> Int {
    let (seconds, attoseconds) = (ContinuousClock.now - start).components
    let time = Double(seconds) + Double(attoseconds) / 1e18
    return time > 0 ? Int(Double(count) / time) : 0
  }
}

/// What this process has used so far.
struct ProcessUsage {
  /// User and system time, in milliseconds.
  let cpuMilliseconds: Int
  /// The most memory that was in RAM, in MiB.
  let peakMebibytes: Int

  /// Asks the system.
  init() {
    var usage = rusage()
    _ = unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
    let times = [usage.ru_utime, usage.ru_stime]
    cpuMilliseconds = times.reduce(0) { $0 + Int($1.tv_sec) * 1000 + Int($1.tv_usec) / 1000 }
    peakMebibytes = Int(usage.ru_maxrss) / 1024
  }
}
