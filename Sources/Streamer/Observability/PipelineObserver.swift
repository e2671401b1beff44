import Glibc
import PGWire

/// Carries what a pipeline knows of itself to /status, /stats and /metrics.
///
/// Only the pipeline's thread calls it; the numbers behind are atomics that other threads read.
final class PipelineObserver {
  private let source: SourceStatus
  private let sinks: [SinkStatus]
  private let sourceMetrics: SourceMetrics
  private let sinkMetrics: [SinkMetrics]
  private var lastKeepalives = 0
  private var lastCounts: [(counts: LaneCounts, inFlight: Int)]
  private var oldest: (ticket: UInt64, since: ContinuousClock.Instant)?

  /// Observes a source and its sinks, in the pipeline's order.
  init(source: SourceStatus, sinks: [SinkStatus], metrics: Metrics) {
    self.source = source
    self.sinks = sinks
    sourceMetrics = SourceMetrics(metrics, name: source.name, type: source.type)
    lastCounts = sinks.map { _ in (LaneCounts(), 0) }
    sinkMetrics = sinks.map { SinkMetrics(metrics, name: $0.name, type: $0.type) }
  }

  /// The counters of one table, for the source and for each sink.
  func table(_ relation: Relation) -> TableMetrics {
    table(schema: relation.schema, name: relation.name)
  }

  /// The counters of one table by its names.
  func table(schema: String, name: String) -> TableMetrics {
    TableMetrics(
      source: sourceMetrics.table(schema: schema, name), sinks: sinkMetrics.map { $0.table(name) })
  }

  // MARK: - Events

  /// The pipeline has entered a state; its sinks follow where they have no trouble of their own.
  func entered(_ state: PipelineState, cause: StreamerError?) {
    source.enter(state, error: cause.map(\.description))
    guard state == .streaming else { return }
    for sink in sinks { sink.enter(.streaming) }
  }

  /// The connection, a look-up or a save has failed.
  func failed(_ error: StreamerError) {
    source.replicaErrors.add()
    sourceMetrics.reconnects(cause: error.isRetryable ? "retryable" : "final").add()
  }

  /// A position could not be saved.
  func saveFailed() { source.persistErrors.add() }

  /// A sink has failed.
  func failed(sink index: Int, _ error: StreamerError) {
    sinks[index].errors.add()
    sinkMetrics[index].kafkaErrors.add()
    sinks[index].enter(error.isRetryable ? .retrying : .failed, error: error.description)
  }

  /// The pipeline has ended.
  func ended(_ error: StreamerError?) {
    source.enter(error == nil ? .stopped : .failed, error: error.map(\.description))
    for sink in sinks where !sink.state.state.isTrouble { sink.enter(.stopped) }
  }

  /// What the server says of the slot.
  func slot(_ slot: ReplicationSlot) {
    let held = UInt64(max(slot.walHeld ?? 0, 0))
    source.walHeldBytes.set(held)
    sourceMetrics.walHeldBytes.set(held)
  }

  // MARK: - Numbers

  /// Takes over the numbers of a pipeline as it stands at `now`.
  func observe(
    _ pipeline: inout Pipeline, saved: LSN, now: ContinuousClock.Instant
  ) {
    let confirmed = pipeline.startLSN
    source.events.set(UInt64(pipeline.eventCount))
    source.receivedLSN.set(pipeline.sent.value)
    source.serverLSN.set(pipeline.sent.value)
    source.confirmedLSN.set(confirmed.value)
    source.savedLSN.set(saved.value)
    sourceMetrics.receivedLSN.set(pipeline.sent.value)
    sourceMetrics.sentLSN.set(pipeline.sent.value)
    sourceMetrics.confirmedLSN.set(confirmed.value)
    sourceMetrics.lagBytes.set(source.lagBytes)
    source.spoolBytes.set(UInt64(pipeline.spool.fileBytes))
    sourceMetrics.spoolBytes.set(UInt64(pipeline.spool.fileBytes))
    if pipeline.keepalives != lastKeepalives {
      lastKeepalives = pipeline.keepalives
      source.probeAnswered(at: now)
    }
    observeState(isOverBudget: pipeline.isOverBudget)
    observeOldest(pipeline, now: now)
    for index in sinks.indices { observe(&pipeline.lanes[index], index) }
  }

  private func observeState(isOverBudget: Bool) {
    let state = source.state.state
    if state == .streaming, isOverBudget {
      source.enter(.backpressured)
    } else if state == .backpressured, !isOverBudget {
      source.enter(.streaming)
    }
  }

  private func observe(_ lane: inout Lane<LSN>, _ index: Int) {
    observe(sink: index, lane.counts, inFlightBytes: lane.inFlightBytes)
    if lane.isOpen { observe(lane.sink, index) }
    guard let settled = lane.takeSettled() else { return }
    let latency = settled.latencySum(at: Self.microsecondsSince2000()) / Double(settled.count)
    sourceMetrics.commitLatency.observe(max(latency, 0), count: UInt64(settled.count))
  }

  /// Takes over the numbers of a source whose positions are offsets, but for those of its sinks;
  /// `isIdle` says that nothing waits for its delivery.
  func observe(
    events: Int, malformed: Int, isOverBudget: Bool, isIdle: Bool, progress: UInt64,
    now: ContinuousClock.Instant
  ) {
    source.events.set(UInt64(events))
    source.eventErrors.set(UInt64(malformed))
    observeState(isOverBudget: isOverBudget)
    if isIdle {
      oldest = nil
    } else if oldest?.ticket != progress {
      oldest = (progress, now)
    }
    source.oldestOutstanding(since: oldest?.since)
  }

  /// Takes over the numbers of one sink's lane.
  func observe(sink index: Int, _ counts: LaneCounts, inFlightBytes: Int) {
    let (status, metrics) = (sinks[index], sinkMetrics[index])
    let last = lastCounts[index]
    // Several sources may share a sink's status: each adds what is its own.
    status.inFlightBytes.add(difference(inFlightBytes, last.inFlight))
    status.total.add(difference(counts.events, last.counts.events))
    status.noTopic.add(difference(counts.excluded, last.counts.excluded))
    status.skipped.add(difference(counts.repeated, last.counts.repeated))
    status.kafkaMessages.add(difference(counts.delivered, last.counts.delivered))
    lastCounts[index] = (counts, inFlightBytes)
    metrics.inFlightBytes.add(Double(inFlightBytes - last.inFlight))
  }

  /// Takes over what an open sink says of itself.
  ///
  /// One that cannot deliver for now is retrying, until something is delivered again.
  func observe(_ sink: any Sink, _ index: Int) {
    let (status, metrics) = (sinks[index], sinkMetrics[index])
    metrics.kafkaQueueMessages.set(sink.queueLength)
    let state = status.state.state
    if let trouble = sink.trouble, state == .streaming {
      metrics.kafkaErrors.add()
      status.errors.add()
      status.enter(.retrying, error: trouble.description)
    } else if sink.trouble == nil, state == .retrying {
      status.enter(.streaming)
    }
  }

  private func difference(_ now: Int, _ before: Int) -> UInt64 {
    UInt64(bitPattern: Int64(now - before))
  }

  private func observeOldest(_ pipeline: borrowing Pipeline, now: ContinuousClock.Instant) {
    guard let waiting = pipeline.lanes.oldest else {
      oldest = nil
      source.oldestOutstanding(since: nil)
      sourceMetrics.lagSeconds.set(0)
      return
    }
    if oldest?.ticket != waiting.ticket { oldest = (waiting.ticket, now) }
    source.oldestOutstanding(since: oldest?.since)
    if let time = waiting.commitTime {
      let age = Double(Self.microsecondsSince2000() - time) / 1_000_000
      sourceMetrics.lagSeconds.set(max(age, 0))
    }
  }

  private static func microsecondsSince2000() -> Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    return (Int64(time.tv_sec) - 946_684_800) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}

/// The counters of one table: looked up once for each Relation message.
struct TableMetrics {
  let source: SourceTableMetrics
  let sinks: [SinkTableMetrics]
}
