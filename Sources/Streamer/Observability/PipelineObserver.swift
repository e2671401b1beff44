import Glibc
import PGWire

/// Carries what a pipeline knows of itself to /status, /stats and /metrics.
///
/// Only the pipeline's thread calls it; the numbers behind are atomics that other threads read.
/// Totals only ever rise by what is new: neither a new connection nor a new ``Pipeline`` sets one
/// back.
final class PipelineObserver {
  /// What the observer knows of a lane beside its status.
  private struct Watch {
    /// The numbers that were taken over last.
    var counts = LaneCounts()
    var inFlight = 0
    var queued = 0
    var held = (records: 0, bytes: 0)
    /// The sink itself says that it cannot deliver for now.
    var isTroubled = false
    /// The sink was asked for topics in vain, and has not answered since.
    var isSilent = false
    /// The code that Kafka has for the trouble.
    var code: String?
    /// How much was delivered when records began to wait.
    var waiting: (delivered: Int, since: ContinuousClock.Instant)?
  }

  private let source: SourceStatus
  private let lanes: [LaneStatus]
  private let sourceMetrics: SourceMetrics
  private let sinkMetrics: [SinkMetrics]
  private let reloads: ReloadMetrics
  private var tables: TableBook
  private var watches: [Watch]
  private var eventCount = 0
  private var malformedCount = 0
  private var keepalives = 0
  /// Changes have flowed since the last outage.
  private var isConnected = false
  /// A sink has failed, which the failure of the stream that follows is put down to.
  private var hasLostSink = false

  /// Observes a source and its sinks, in the pipeline's order.
  init(source: SourceStatus, sinks: [SinkStatus], metrics: Metrics) {
    self.source = source
    lanes = sinks.map { $0.lane(of: source.name) }
    watches = sinks.map { _ in Watch() }
    sourceMetrics = SourceMetrics(metrics, name: source.name, type: source.type)
    sinkMetrics = sinks.map {
      SinkMetrics(metrics, name: $0.name, type: $0.type, sourceType: source.type)
    }
    reloads = ReloadMetrics(metrics)
    tables = TableBook(limit: metrics.tableLimit, source: sourceMetrics, sinks: sinkMetrics)
  }

  /// New settings of the sinks were refused.
  func reloadRefused() { reloads.refused() }

  // MARK: - Tables

  /// The counters of one table, for the source and for each sink; `hasTopic` tells for each sink
  /// whether the table has a topic there, and without it all have one.
  ///
  /// Whoever asks keeps the value as long as the table is described: the series go with it.
  func table(
    _ relation: Relation, hasTopic: [Bool]? = nil, left: [LeftOut?] = []
  ) -> TableMetrics {
    table(schema: relation.schema, name: relation.name, hasTopic: hasTopic, left: left)
  }

  /// The counters of one table by its names.
  func table(
    schema: String, name: String, hasTopic: [Bool]? = nil, left: [LeftOut?] = []
  ) -> TableMetrics {
    for (lane, reason) in zip(lanes, left) { lane.leaves("\(schema).\(name)", reason) }
    // A table is described when every sink has answered.
    for index in watches.indices where watches[index].isSilent {
      watches[index].isSilent = false
      isConnected = true
      if !watches[index].isTroubled { lanes[index].enter(.streaming) }
    }
    return tables.table(
      schema: schema, name, hasTopic: hasTopic ?? lanes.map { _ in true }, left: left, now: .now)
  }

  /// A transaction with that many events was read to its end.
  func committed(events: UInt64) { sourceMetrics.transactionRows.observe(Double(events)) }

  // MARK: - Events

  /// The pipeline has entered a state; when changes flow, its sinks follow, but for those that have
  /// trouble of their own.
  func entered(_ state: PipelineState, cause: StreamerError?) {
    source.enter(state, error: cause.map(\.description))
    guard state == .streaming else { return }
    // What is still without an answer is the same outage.
    isConnected = !watches.contains(where: \.isSilent)
    hasLostSink = false
    source.heard(at: .now)
    for (lane, watch) in zip(lanes, watches) where !watch.isTroubled && !watch.isSilent {
      lane.enter(.streaming)
    }
  }

  /// The connection, a look-up or a save has failed.
  ///
  /// An outage counts once, when a stream that flowed is lost; what fails after that are attempts.
  func failed(_ error: StreamerError) {
    source.replicaErrors.add()
    sourceMetrics.errors.add()
    if isConnected {
      let cause = hasLostSink ? .sink : ReconnectCause(error)
      sourceMetrics.reconnects(cause: cause).add()
    }
    isConnected = false
    hasLostSink = false
  }

  /// A position could not be saved.
  func saveFailed() {
    source.persistErrors.add()
    source.cannotSave = true
    sourceMetrics.saveErrors.add()
    sourceMetrics.cannotSave.set(1)
  }

  /// A position was saved.
  func saveSucceeded() {
    guard source.cannotSave else { return }
    source.cannotSave = false
    sourceMetrics.cannotSave.set(0)
  }

  /// A sink has failed; another instance of it takes its place.
  func failed(sink index: Int, _ error: StreamerError) {
    hasLostSink = true
    watches[index].isTroubled = false
    count(errorOf: index)
    if let code = error.kafkaCode { sinkMetrics[index].kafkaTrouble(code).add() }
    lanes[index].enter(error.isRetryable ? .retrying : .failed, error: error.description)
  }

  /// The sink with that name was asked for topics in vain: it has trouble until it answers.
  func failed(sinkNamed name: String, _ error: StreamerError) {
    guard let index = sinkMetrics.firstIndex(where: { $0.name == name }) else { return }
    failed(sink: index, error)
    watches[index].isSilent = true
  }

  /// The pipeline has ended.
  func ended(_ error: StreamerError?) {
    source.enter(error == nil ? .stopped : .failed, error: error.map(\.description))
    for lane in lanes where !lane.state.state.isTrouble { lane.enter(.stopped) }
  }

  /// Takes a gap that was found, with the whole ledger; any thread may call it.
  var noteGap: @Sendable (Gap, [Gap]) -> Void {
    { [source, sourceMetrics] gap, ledger in
      sourceMetrics.gaps(gap).add()
      source.gaps = ledger
    }
  }

  // MARK: - The server

  /// Bytes of the server came, or it is not listened to on purpose.
  func heard(at now: ContinuousClock.Instant) { source.heard(at: now) }

  /// The end of the server's log, as the server says when it is asked.
  func serverPosition(_ lsn: LSN) {
    source.serverLSN.set(lsn.value)
    observePositions()
  }

  /// A heartbeat came back after that time.
  func heartbeat(_ trip: Duration) {
    source.heartbeatSeconds = trip.inSeconds
    sourceMetrics.heartbeat.set(trip.inSeconds)
  }

  /// Since when a heartbeat has been waited for and nothing has moved; nil when none is.
  func heartbeat(waitingSince since: ContinuousClock.Instant?) { source.heartbeatAwaited(since) }

  /// Since when a transaction has been waited for that is not visible on the primary, for longer than is
  /// usual; nil when none is.
  func invisible(since: ContinuousClock.Instant?, now: ContinuousClock.Instant) {
    source.invisibleSince = since
    sourceMetrics.invisible.set(since.map { (now - $0).inSeconds } ?? 0)
  }

  /// What the server says of the slot, its own position with it, and what the guard makes of that.
  func slot(_ slot: ReplicationSlot, _ sight: WALGuard.Sight) {
    source.walGrowth = sight.growth
    source.walSecondsLeft = sight.secondsLeft
    sourceMetrics.walGrowth.set(sight.growth ?? 0)
    sourceMetrics.walSecondsLeft(sight.secondsLeft)
    self.slot(slot)
  }

  /// What the server says of the slot, its own position with it.
  func slot(_ slot: ReplicationSlot) {
    let held = UInt64(max(slot.walHeld ?? 0, 0))
    source.walHeldBytes.set(held)
    source.walStatus = slot.walStatus.flatMap(SourceStatus.WALStatus.init)
    source.safeWALBytes = slot.safeWALSize
    sourceMetrics.walHeldBytes.set(held)
    for (status, gauge) in zip(SourceStatus.WALStatus.allCases, sourceMetrics.walStatus) {
      gauge.set(status == source.walStatus ? 1 : 0)
    }
    guard let restart = slot.restartLSN, slot.walHeld != nil else { return }
    serverPosition(LSN(restart.value + held))
  }

  // MARK: - Numbers

  /// Takes over the numbers of a pipeline as it stands at `now`.
  func observe(
    _ pipeline: inout Pipeline, saved: LSN, now: ContinuousClock.Instant
  ) {
    take(events: pipeline.eventCount)
    // A connection that has received nothing yet stands where the last one did.
    if pipeline.sent > .zero { source.receivedLSN.set(pipeline.sent.value) }
    source.confirmedLSN.set(pipeline.startLSN.value)
    source.savedLSN.set(saved.value)
    observePositions()
    source.spoolBytes.set(UInt64(pipeline.spool.fileBytes))
    sourceMetrics.spoolBytes.set(UInt64(pipeline.spool.fileBytes))
    if pipeline.keepalives != keepalives {
      keepalives = pipeline.keepalives
      source.heard(at: now)
    }
    observeState(
      isOverBudget: pipeline.isOverBudget, isCopying: source.snapshot?.isUnderWay == true)
    tables.sweep(now: now)
    for index in lanes.indices {
      let counts = pipeline.lanes[index].counts
      observe(
        sink: index, counts, inFlightBytes: pipeline.lanes[index].inFlightBytes, now: now)
      if pipeline.lanes[index].isOpen { observe(pipeline.lanes[index].sink, index) }
    }
    let oldest = pipeline.lanes.oldest?.commitTime
    let age = oldest.map { Double(Self.microsecondsSince2000() - $0) / 1_000_000 }
    source.lagSeconds = max(age ?? 0, 0)
    sourceMetrics.lagSeconds.set(max(age ?? 0, 0))
  }

  /// Takes over the numbers of a source whose positions are offsets, but for those of its sinks.
  func observe(events: Int, malformed: Int, isOverBudget: Bool, now: ContinuousClock.Instant) {
    take(events: events)
    let new = malformed - malformedCount
    source.eventErrors.add(UInt64(max(new, 0)))
    sourceMetrics.errors.add(UInt64(max(new, 0)))
    malformedCount = malformed
    observeState(isOverBudget: isOverBudget)
    tables.sweep(now: now)
  }

  /// Takes over the numbers of one sink's lane.
  func observe(
    sink index: Int, _ counts: LaneCounts, inFlightBytes: Int, now: ContinuousClock.Instant
  ) {
    let (lane, last) = (lanes[index], watches[index].counts)
    lane.total.add(Self.difference(counts.events, last.events))
    lane.noTopic.add(Self.difference(counts.excluded, last.excluded))
    lane.skipped.add(Self.difference(counts.repeated, last.repeated))
    lane.kafkaMessages.add(Self.difference(counts.delivered, last.delivered))
    sinkMetrics[index].delivered.add(Self.difference(counts.delivered, last.delivered))
    for (cause, count) in counts.deadLetters {
      let new = Self.difference(count, last.deadLetters[cause] ?? 0)
      lane.deadLetters.add(new)
      sinkMetrics[index].deadLetters[cause]?.add(new)
    }
    watches[index].counts = counts
    take(inFlightBytes: inFlightBytes, index)
    if inFlightBytes == 0 {
      watches[index].waiting = nil
    } else if watches[index].waiting?.delivered != counts.delivered {
      watches[index].waiting = (counts.delivered, now)
    }
    lane.wait(since: watches[index].waiting?.since)
  }

  /// Takes over what an open sink says of itself.
  ///
  /// One that cannot deliver for now is retrying, until something is delivered again.
  func observe(_ sink: any Sink, _ index: Int) {
    let queued = sink.queueLength
    sinkMetrics[index].kafkaQueueMessages.add(Double(queued - watches[index].queued))
    watches[index].queued = queued
    if let quarantine = sink as? QuarantineSink { observe(quarantine.held, index) }
    if let trouble = sink.trouble {
      if !watches[index].isTroubled { count(errorOf: index) }
      if let code = trouble.kafkaCode, code != watches[index].code {
        sinkMetrics[index].kafkaTrouble(code).add()
      }
      watches[index].code = trouble.kafkaCode
      watches[index].isTroubled = true
      lanes[index].enter(.retrying, error: trouble.description)
    } else if watches[index].isTroubled {
      watches[index].isTroubled = false
      watches[index].code = nil
      lanes[index].enter(.streaming)
    }
  }

  private func observe(_ held: [HeldTopic], _ index: Int) {
    lanes[index].holds(held)
    let sums = held.reduce((records: 0, bytes: 0)) {
      ($0.records + $1.records, $0.bytes + $1.bytes)
    }
    sinkMetrics[index].heldRecords.add(Double(sums.records - watches[index].held.records))
    sinkMetrics[index].heldBytes.add(Double(sums.bytes - watches[index].held.bytes))
    watches[index].held = sums
  }

  /// Transactions were settled in one lane.
  func observe(sink index: Int, _ settled: SettledTransactions) {
    let seconds = settled.latencySum(at: Self.microsecondsSince2000())
    let histograms = [
      sourceMetrics.commitLatency, sourceMetrics.processingTime, sinkMetrics[index].processingTime,
    ]
    for histogram in histograms {
      histogram.observe(latencySum: seconds, count: UInt64(settled.count))
    }
  }

  // MARK: - Parts

  private func observePositions() {
    sourceMetrics.receivedLSN.set(source.receivedLSN.value)
    sourceMetrics.confirmedLSN.set(source.confirmedLSN.value)
    sourceMetrics.savedLSN.set(source.savedLSN.value)
    sourceMetrics.sentLSN.set(source.endLSN)
    sourceMetrics.lagBytes.set(source.lagBytes)
  }

  private func observeState(isOverBudget: Bool, isCopying: Bool = false) {
    let state = source.state.state
    guard state == .streaming || state == .backpressured || state == .snapshot else { return }
    let now: PipelineState = isCopying ? .snapshot : isOverBudget ? .backpressured : .streaming
    if now != state { source.enter(now) }
  }

  /// The copy of existing rows has come so far.
  func copied(_ snapshot: SnapshotStatus, _ list: [CopyStatus]) {
    source.snapshot = snapshot
    source.copies = list
    sourceMetrics.copies.set(snapshot)
  }

  private func take(events: Int) {
    source.events.add(Self.difference(events, eventCount))
    eventCount = events
  }

  private func take(inFlightBytes: Int, _ index: Int) {
    lanes[index].inFlightBytes.set(UInt64(max(inFlightBytes, 0)))
    sinkMetrics[index].inFlightBytes.add(Double(inFlightBytes - watches[index].inFlight))
    watches[index].inFlight = inFlightBytes
  }

  private func count(errorOf index: Int) {
    lanes[index].errors.add()
    sinkMetrics[index].errors.add()
    sinkMetrics[index].kafkaErrors.add()
  }

  /// What is new in a count; one that has gone back began anew from zero.
  private static func difference(_ now: Int, _ before: Int) -> UInt64 {
    UInt64(max(now < before ? now : now - before, 0))
  }

  private static func microsecondsSince2000() -> Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    return (Int64(time.tv_sec) - 946_684_800) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}
