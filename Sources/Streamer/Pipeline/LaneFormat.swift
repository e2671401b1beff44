/// One of the formats that a lane's events are written in, and what it keeps from row to row.
///
/// Each has a state of its own: what two formats prepare of a transaction lies in the same places.
struct LaneFormat: ~Copyable {
  /// Its name.
  let name: FormatConfiguration.Name
  /// Turns changes into records.
  let format: any Format
  /// What it keeps from row to row.
  var state = EncodingState()

  /// The format that a setup names as its own.
  private init(_ setup: LaneSetup, _ origin: StreamOrigin) {
    name = setup.format
    format =
      switch setup.format {
      case .psqlStreamer: NativeFormat(origin, options: setup.values, headers: setup.headers)
      case .debezium:
        DebeziumFormat(
          origin, options: setup.debezium, key: setup.keyFormat,
          countsTransactions: setup.transactionTopic != nil)
      case .flat: FlatFormat(origin, setup.flat, setup.debezium, key: setup.keyFormat)
      case .cloudEvents: CloudEventsFormat(origin, options: setup.values, setup.cloudEvents)
      case .text: TextFormat(origin, options: setup.values)
      case .avro: AvroFormat(setup, origin)
      case .jsonSchema: JSONSchemaFormat(setup, origin)
      case .protobuf: ProtobufFormat(setup, origin)
      }
  }

  /// All that a setup has in use, its own first.
  static func all(of setup: LaneSetup, _ origin: StreamOrigin) -> OwnedArray<LaneFormat> {
    let names = setup.formats
    return OwnedArray(count: names.count) { LaneFormat(setup.written(in: names[$0]), origin) }
  }

  /// A transaction begins: the events that follow are its own.
  mutating func begin(_ transaction: Transaction) { format.begin(transaction, &state) }
}
