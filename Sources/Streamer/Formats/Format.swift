import KafkaBridge
import PGWire

/// How a lane's events are written, for one connection.
///
/// All of it is constant, so that rows read it without checks; what changes with rows and
/// transactions stands in an ``EncodingState``.
protocol Format: AnyObject {
  /// Works out what all rows of a table share.
  func plan(_ table: Table, types: TypeCatalog) -> any TablePlan

  /// The same where a registry has given the table's schemas numbers.
  func plan(_ table: Table, types: TypeCatalog, schemas: SchemaNumbers?) -> any TablePlan

  /// A transaction begins: the events that follow are its own.
  func begin(_ transaction: Transaction, _ state: inout EncodingState)

  /// Adds a logical message to a batch.
  func encode(
    _ message: borrowing LogicalMessage, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch)

  /// Adds to a batch what became of a prepared transaction.
  func encode(
    _ action: EventAction, gid: String, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch)
}

extension Format {
  func plan(_ table: Table, types: TypeCatalog, schemas: SchemaNumbers?) -> any TablePlan {
    plan(table, types: types)
  }
}

/// How the events of one table are written: it owns all bytes that it has prepared, and dies with
/// the table's description.
protocol TablePlan: AnyObject {
  /// Adds to a batch the records that a row event becomes: one, several or none.
  func encode(
    _ event: borrowing RowEvent, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, into batch: inout RecordBatch)

  /// Adds to a batch that the table was emptied.
  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch)

  /// Whether each row among the values has as many fields as its type is known to have.
  func agrees(_ change: borrowing Change, _ state: inout EncodingState) -> Bool

  /// Whether ``agrees(_:_:)`` has anything to look at.
  var holdsComposites: Bool { get }

  /// Bytes that were prepared.
  var ownedBytes: Int { get }
}

/// Where an event stands in the stream, and where its record goes.
struct RecordPlace {
  /// The event's place.
  let event: EventPlace
  /// The topic.
  let route: Route
  /// The transaction that waits for its delivery.
  let ticket: UInt64
}

/// What keeps an event from being delivered like others.
enum Setback {
  /// The table's schema cannot say the value of that column, so no record was made.
  case unwritable(column: Int)
  /// What was made of an event of an outbox waits for its topic, or nothing was: see ``OutboxState``.
  case outbox
}

/// What one format of a lane keeps from row to row; the lane's pipeline owns it.
struct EncodingState: ~Copyable {
  /// What a transaction's events have before their own part.
  var head = ByteWriter(capacity: 128)
  /// What a transaction's events have behind their own part.
  var tail = ByteWriter(capacity: 128)
  /// Where the last transaction ended, or reading began.
  var lastEnd = LSN.zero
  /// What Debezium's formats keep.
  var debezium = DebeziumState()
  /// What CloudEvents have of their transaction.
  var cloudEvents = CloudEventsState()
  /// The transaction's UUIDs.
  var uuid: EventUUID?
  /// Buffers for nested values.
  var scratch = ValueScratch()
  /// What keeps the last event from being delivered like others; nil for nothing.
  var setback: Setback?
  /// What the lane's outbox keeps.
  var outbox = OutboxState()
  /// Where values are written that only tell whether they can be.
  var trial = ByteWriter()
}
