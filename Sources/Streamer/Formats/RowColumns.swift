import PGWire

/// One column of a table, as a plan keeps it.
///
/// Trivial, so that a plan's columns are walked through without a retain.
struct RowColumn: BitwiseCopyable {
  /// Its rule; a column that is left out has none.
  var encoder: DebeziumEncoder
  var isOmitted = false
  /// Whether its schema lets it be null.
  var isOptional = true
  /// Whether the server sends it where it sends a row's identity only.
  var isIdentity = false
  /// Its number, in encodings that know fields by theirs.
  var number: Int32 = 0
  /// Whether a list of such values is a message of its own.
  var isWrapped = false
  /// What stands before its value, in encodings that name it.
  var name = PreparedRange(0, 0)
  /// Where the stand-in for a value that was not sent is; empty where its type has none.
  var placeholder = PreparedRange(0, 0)
}

/// How columns are written in one encoding: what ``RowColumns`` finds in a row, it appends.
///
/// All of it is static, so that a walk is compiled for each encoding.
protocol ColumnWriter {
  /// Whether a column is left out whose value was not sent and has no stand-in.
  static var leavesOutUnsent: Bool { get }

  /// Appends a value, given as PostgreSQL's text; false, and maybe a part, when the schema has no
  /// way to say it.
  static func append(
    _ text: RawSpan, _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) -> Bool

  /// Appends what stands for a value that was not sent.
  static func appendPlaceholder(
    _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    to bytes: inout ByteWriter)

  /// Appends a null; false when the schema has no way to say it.
  static func appendNull(
    _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    to bytes: inout ByteWriter
  ) -> Bool
}

/// The columns of one table, as every format with Debezium's values walks through them.
struct RowColumns<Writer: ColumnWriter>: ~Copyable {
  private let prepared: PreparedBytes
  private let columns: OwnedArray<RowColumn>

  /// Takes what an encoding has worked out of each column.
  init(_ columns: [RowColumn], _ prepared: consuming ByteWriter) {
    self.columns = OwnedArray(count: columns.count) { columns[$0] }
    self.prepared = PreparedBytes(prepared)
  }

  /// Bytes that were prepared.
  var ownedBytes: Int { prepared.count }

  /// What became of a row.
  struct Outcome {
    /// Whether no column was written.
    var isEmpty = true
    /// The column whose value the schema cannot say.
    var unwritable: Int?
  }

  /// Appends the new row.
  func appendNew(
    _ event: borrowing RowEvent, _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) -> Outcome {
    var outcome = Outcome()
    var cursor = event.row.columns
    for index in columns.indices {
      let column = columns[index]
      let value = cursor.next()
      if column.isOmitted { continue }
      let isFirst = outcome.isEmpty
      var isKnown = true
      switch value {
      case .text(let text):
        isKnown = Writer.append(text, column, prepared, isFirst: isFirst, &scratch, to: &bytes)
      case .unchangedToast:
        if event.oldImage == .full, case .text(let text) = event.old.value(at: index) {
          isKnown = Writer.append(text, column, prepared, isFirst: isFirst, &scratch, to: &bytes)
        } else if !column.placeholder.isEmpty {
          Writer.appendPlaceholder(column, prepared, isFirst: isFirst, to: &bytes)
        } else if Writer.leavesOutUnsent {
          continue
        } else {
          isKnown = Writer.appendNull(column, prepared, isFirst: isFirst, to: &bytes)
        }
      case .null, .binary:
        isKnown = Writer.appendNull(column, prepared, isFirst: isFirst, to: &bytes)
      }
      outcome.isEmpty = false
      guard isKnown else {
        outcome.unwritable = index
        return outcome
      }
    }
    return outcome
  }

  /// Appends the old row; what the server did not send of it is null.
  func appendOld(
    _ event: borrowing RowEvent, _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) -> Outcome {
    var outcome = Outcome()
    var cursor = event.old.columns
    for index in columns.indices {
      let column = columns[index]
      let value = cursor.next()
      if column.isOmitted { continue }
      let isFirst = outcome.isEmpty
      let isKnown =
        if case .text(let text) = value, event.oldImage == .full || column.isIdentity {
          Writer.append(text, column, prepared, isFirst: isFirst, &scratch, to: &bytes)
        } else {
          Writer.appendNull(column, prepared, isFirst: isFirst, to: &bytes)
        }
      outcome.isEmpty = false
      guard isKnown else {
        outcome.unwritable = index
        return outcome
      }
    }
    return outcome
  }
}
