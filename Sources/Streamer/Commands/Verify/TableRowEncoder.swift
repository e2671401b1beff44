import PGWire

/// Writes a table's rows as one sink would write them as existing rows, and gives their records away.
///
/// The rows go the way of every row: through the sink's rules and its format. So whatever those make of
/// a value, the record is the same where the row is.
final class TableRowEncoder {
  /// A table whose rows are read.
  typealias Receiver = (_ table: Int, _ key: [UInt8], _ value: RawSpan) -> Void

  /// Takes records and hands them on; the number of a topic is that of its table.
  private final class Receipt: Sink {
    var receive: Receiver?
    private var receipts: [DeliveryReceipt] = []

    func send(_ batch: borrowing RecordBatch) {
      for entry in batch.entries {
        receipts.count(entry)
        let all = batch.bytes.bytes
        // Tables without a key are not compared.
        guard let key = entry.key, let value = entry.value else { continue }
        receive?(Int(entry.topic), all.extracting(key).array, all.extracting(value))
      }
    }

    func poll(_ report: (DeliveryReceipt) -> Void) {
      for receipt in receipts { report(receipt) }
      receipts.removeAll(keepingCapacity: true)
    }
  }

  /// Gets each record.
  var receive: Receiver? {
    get { receipt.receive }
    set { receipt.receive = newValue }
  }

  private let receipt = Receipt()
  private let schemas: SchemaBook
  private let catalog: TableCatalog
  private var pipeline: Pipeline
  private let number: (Relation) -> Int?

  /// For a sink that is set up so; `list` counts the schemas of its records, and `number` gives a
  /// table's number.
  init(
    _ sink: SinkConfiguration, _ source: SourceConfiguration,
    _ postgres: PostgresSourceConfiguration, origin: StreamOrigin, catalog: TableCatalog,
    list: SchemaList, number: @escaping (Relation) -> Int?
  ) {
    let plan = SinkPlan(name: sink.name, setup: sink.setup(for: source.name), list: list) {
      (_, _) in StubSink(log: nil)
    }
    schemas = SchemaBook(sinks: [plan], log: Log(level: .error))
    self.catalog = catalog
    self.number = number
    let receipt = receipt
    let observer = PipelineObserver(
      source: source.status, sinks: [SinkStatus(name: sink.name, type: sink.typeName)],
      metrics: Metrics())
    var settings = Pipeline.Settings(
      inFlightLimit: Limits.verifyInFlight, spool: postgres.spool.settings(store: nil))
    settings.source = source.name
    settings.invalidUTF8 = postgres.invalidUTF8
    settings.maxRowSize = Int.max
    pipeline = Pipeline(
      lanes: LaneSet(count: 1) { _ in
        Lane(name: sink.name, sink: receipt, position: LSN(1), isOpen: true)
      }, setups: [sink.setup(for: source.name)], settings: settings, observer: observer)
    pipeline.connected(at: LSN(1), origin, messageTopics: [nil])
  }

  /// The rows that follow are those of a snapshot.
  func begin(_ point: SnapshotPoint) throws(StreamerError) {
    pipeline.fence = Fence(point.snapshot, limit: point.limit)
    pipeline.sent = point.limit
    pipeline.beginRound(
      Transaction(existingRowsAt: point.limit, time: point.time, firstOrdinal: 0),
      point.tables.map(\.relation))
    try answer()
  }

  /// No more rows of that snapshot follow.
  func end() { pipeline.endRound() }

  /// Takes rows as they lie in a block.
  func encode(_ block: RowBlock) throws(StreamerError) {
    let bytes = block.takeBytes()
    var offset = 0
    while offset < bytes.count {
      do throws(StreamFault) { _ = try pipeline.readRound(bytes, from: &offset) } catch {
        throw StreamerError(what: "existing rows", why: "\(error)")
      }
      try answer()
      try pipeline.lanes[0].poll()
    }
    block.put(bytes)
  }

  /// Answers what the pipeline asks of tables.
  private func answer() throws(StreamerError) {
    for request in pipeline.takeRequests() {
      let types: TypeCatalog
      do throws(PGError) { types = try catalog.types(of: [request.relation]) } catch {
        throw StreamerError(what: "the catalog", why: "\(error)", retryable: error.isRetryable)
      }
      let keys: [[String]]
      switch try catalog.keys(of: [request]) {
      case .success(let found): keys = found
      case .failure(let error):
        throw StreamerError(what: "the catalog", why: "\(error)", retryable: error.isRetryable)
      }
      let topic = number(request.relation).map { TopicID($0) }
      let answer = TableAnswer(catalogKey: keys[0], types: types, topics: [topic])
      pipeline.answer(request, try schemas.find([request], [answer])[0])
    }
  }
}
