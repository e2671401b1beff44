import PGWire

/// What a condition says of a row.
enum WhereTruth: UInt8, BitwiseCopyable, Sendable {
  case no = 0
  case yes = 1
  case null = 2
  /// It depends on a value that the server did not send.
  case unsent = 3
}

/// A condition for the rows of one table: flat, and worked out on their bytes without an allocation.
final class WhereProgram {
  /// How many truth values fit into the stack.
  static let deepest = 31

  /// How a column's text is read before it is compared.
  enum Reading: UInt8, BitwiseCopyable {
    case integer, boolean, days, daysAsTime, moment, time
    case single, double
    case numeric
    case bytes, trimmed
  }

  /// One step: what it pushes onto the stack, or does with what lies there.
  struct Step: BitwiseCopyable {
    enum Operation: UInt8, BitwiseCopyable {
      case push, column, isNull, compare, compareColumns, like, and, or, not, isTrue, isFalse,
        isUnknown
    }

    var operation: Operation
    var comparison = WhereExpression.Comparison.equal.rawValue
    var reading = Reading.bytes
    var otherReading = Reading.bytes
    /// A column, or the truth that is pushed.
    var a: Int32 = 0
    /// Another column, or a literal.
    var b: Int32 = 0
  }

  private let steps: OwnedArray<Step>
  private let constants: WhereConstants
  /// Whether all columns that it reads are known of every old row, even of a key only.
  let readsIdentityOnly: Bool

  init(_ steps: [Step], _ literals: [WhereLiteral], readsIdentityOnly: Bool) {
    self.steps = OwnedArray(count: steps.count) { steps[$0] }
    constants = WhereConstants(literals)
    self.readsIdentityOnly = readsIdentityOnly
  }

  // MARK: - Working it out

  /// What it says of a row, of which `old` has the values that were not sent again where
  /// `hasOld`; with `nullsAreUnsent` a null of the row may be a value that was not sent.
  func evaluate(
    _ row: borrowing TupleData, old: borrowing TupleData, hasOld: Bool, nullsAreUnsent: Bool
  ) -> WhereTruth {
    var stack: UInt64 = 0
    for index in steps.indices {
      let step = steps[index]
      let truth: WhereTruth
      switch step.operation {
      case .push: truth = WhereTruth(rawValue: UInt8(truncatingIfNeeded: step.a)) ?? .unsent
      case .and, .or:
        let right = Self.pop(&stack)
        let left = Self.pop(&stack)
        truth = step.operation == .and ? Self.and(left, right) : Self.or(left, right)
      case .not: truth = Self.not(Self.pop(&stack))
      case .isTrue, .isFalse, .isUnknown:
        truth = Self.test(Self.pop(&stack), step.operation)
      default:
        truth = self.truth(step, row, old, hasOld: hasOld, nullsAreUnsent: nullsAreUnsent)
      }
      stack = stack << 2 | UInt64(truth.rawValue)
    }
    return Self.pop(&stack)
  }

  private func truth(
    _ step: Step, _ row: borrowing TupleData, _ old: borrowing TupleData, hasOld: Bool,
    nullsAreUnsent: Bool
  ) -> WhereTruth {
    switch row.value(at: Int(step.a)) {
    case .text(let text), .binary(let text):
      return truth(
        step, text, row, old, hasOld: hasOld, nullsAreUnsent: nullsAreUnsent)
    case .null:
      if nullsAreUnsent { return .unsent }
      return nullTruth(step, row, old, hasOld: hasOld, nullsAreUnsent: nullsAreUnsent)
    case .unchangedToast:
      // A value that is TOASTed is none that is null.
      if step.operation == .isNull { return .no }
      guard hasOld, case .text(let text) = old.value(at: Int(step.a)) else { return .unsent }
      return truth(
        step, text, row, old, hasOld: hasOld, nullsAreUnsent: nullsAreUnsent)
    }
  }

  /// What a step says of a column that is null.
  private func nullTruth(
    _ step: Step, _ row: borrowing TupleData, _ old: borrowing TupleData, hasOld: Bool,
    nullsAreUnsent: Bool
  ) -> WhereTruth {
    if step.operation == .isNull { return .yes }
    guard let comparison = WhereExpression.Comparison(rawValue: step.comparison),
      comparison == .distinct || comparison == .notDistinct
    else { return .null }
    switch step.operation {
    case .compare: return comparison == .distinct ? .yes : .no
    case .compareColumns:
      switch row.value(at: Int(step.b)) {
      case .null where nullsAreUnsent: return .unsent
      case .null: return comparison == .distinct ? .no : .yes
      default: return comparison == .distinct ? .yes : .no
      }
    default: return .null
    }
  }

  /// What a step says of a column that has this text.
  private func truth(
    _ step: Step, _ text: RawSpan, _ row: borrowing TupleData, _ old: borrowing TupleData,
    hasOld: Bool, nullsAreUnsent: Bool
  ) -> WhereTruth {
    switch step.operation {
    case .isNull: return .no
    case .column: return text.byteCount == 1 && text[0] == UInt8(ascii: "t") ? .yes : .no
    case .like: return constants.matches(text, pattern: Int(step.b)) ? .yes : .no
    case .compare: return Self.holds(step, constants.order(text, step.reading, Int(step.b)))
    default: break
    }
    switch row.value(at: Int(step.b)) {
    case .text(let other), .binary(let other):
      return Self.holds(step, Self.order(step, text, other))
    case .null:
      if nullsAreUnsent { return .unsent }
      switch WhereExpression.Comparison(rawValue: step.comparison) {
      case .distinct: return .yes
      case .notDistinct: return .no
      default: return .null
      }
    case .unchangedToast:
      guard hasOld, case .text(let other) = old.value(at: Int(step.b)) else { return .unsent }
      return Self.holds(step, Self.order(step, text, other))
    }
  }

  private static func order(_ step: Step, _ a: RawSpan, _ b: RawSpan) -> Int? {
    switch step.reading {
    case .integer, .boolean, .days, .daysAsTime, .moment, .time:
      guard let x = integer(a, step.reading), let y = integer(b, step.otherReading) else {
        return nil
      }
      return x < y ? -1 : x == y ? 0 : 1
    case .single, .double:
      guard let x = double(a, step.reading), let y = double(b, step.otherReading) else {
        return nil
      }
      return order(x, y)
    case .numeric: return NumericOrder.compare(a, b)
    case .bytes, .trimmed:
      return ByteOrder.compare(
        step.reading == .trimmed ? trimmed(a) : a, step.otherReading == .trimmed ? trimmed(b) : b)
    }
  }

  /// What is no number is equal to itself and more than any other, as PostgreSQL has it.
  static func order(_ x: Double, _ y: Double) -> Int {
    if x.isNaN { return y.isNaN ? 0 : 1 }
    if y.isNaN { return -1 }
    return x < y ? -1 : x == y ? 0 : 1
  }

  private static func holds(_ step: Step, _ order: Int?) -> WhereTruth {
    guard let order, let comparison = WhereExpression.Comparison(rawValue: step.comparison) else {
      return .unsent
    }
    return holds(comparison, order) ? .yes : .no
  }

  /// Whether two values that are ordered so compare as asked.
  static func holds(_ comparison: WhereExpression.Comparison, _ order: Int) -> Bool {
    switch comparison {
    case .less: order < 0
    case .lessOrEqual: order <= 0
    case .equal, .notDistinct: order == 0
    case .notEqual, .distinct: order != 0
    case .greaterOrEqual: order >= 0
    case .greater: order > 0
    }
  }

  // MARK: - Truths

  private static func pop(_ stack: inout UInt64) -> WhereTruth {
    defer { stack >>= 2 }
    return WhereTruth(rawValue: UInt8(truncatingIfNeeded: stack & 3)) ?? .unsent
  }

  private static func and(_ a: WhereTruth, _ b: WhereTruth) -> WhereTruth {
    if a == .no || b == .no { return .no }
    if a == .unsent || b == .unsent { return .unsent }
    return a == .null || b == .null ? .null : .yes
  }

  private static func or(_ a: WhereTruth, _ b: WhereTruth) -> WhereTruth {
    if a == .yes || b == .yes { return .yes }
    if a == .unsent || b == .unsent { return .unsent }
    return a == .null || b == .null ? .null : .no
  }

  private static func not(_ a: WhereTruth) -> WhereTruth {
    switch a {
    case .no: .yes
    case .yes: .no
    default: a
    }
  }

  private static func test(_ a: WhereTruth, _ test: Step.Operation) -> WhereTruth {
    guard a != .unsent else { return .unsent }
    let wanted: WhereTruth =
      switch test {
      case .isTrue: .yes
      case .isFalse: .no
      default: .null
      }
    return a == wanted ? .yes : .no
  }
}

// MARK: - Values

extension WhereProgram {
  static func integer(_ text: RawSpan, _ reading: Reading) -> Int64? {
    switch reading {
    case .integer: return integer(text)
    case .boolean: return text.byteCount == 1 && text[0] == UInt8(ascii: "t") ? 1 : 0
    case .days, .daysAsTime, .moment, .time:
      guard let moment = CalendarText(text) else { return nil }
      switch moment.kind {
      case .infinity: return .max
      case .minusInfinity: return .min
      case .moment: break
      }
      switch reading {
      case .days: return moment.days
      case .time: return moment.microseconds
      default: return microseconds(moment)
      }
    default: return nil
    }
  }

  /// Microseconds from 1970; what 64 bits cannot say lies between all others and infinity.
  static func microseconds(_ moment: CalendarText) -> Int64 {
    min(max(moment.sinceEpoch(unitsPerSecond: 1_000_000), .min + 1), .max - 1)
  }

  private static func integer(_ text: RawSpan) -> Int64? {
    var value: Int64 = 0
    let isNegative = text.byteCount > 0 && text[0] == UInt8(ascii: "-")
    var offset = isNegative ? 1 : 0
    guard offset < text.byteCount else { return nil }
    while offset < text.byteCount {
      let digit = text[offset] &- 0x30
      guard digit < 10 else { return nil }
      let (product, overflows) = value.multipliedReportingOverflow(by: 10)
      // Counted downwards, since the least number has no opposite.
      let (sum, carries) = product.subtractingReportingOverflow(Int64(digit))
      guard !overflows, !carries else { return nil }
      value = sum
      offset &+= 1
    }
    guard !isNegative else { return value }
    return value == .min ? nil : -value
  }

  static func double(_ text: RawSpan, _ reading: Reading) -> Double? {
    guard let value = JavaNumber.double(text) else { return nil }
    return reading == .single ? Double(Float(value)) : value
  }

  @_lifetime(copy text)
  static func trimmed(_ text: RawSpan) -> RawSpan {
    var end = text.byteCount
    while end > 0, text[end &- 1] == 0x20 { end &-= 1 }
    return text.extracting(0..<end)
  }
}

/// The literals of a condition; their bytes stand one behind the other.
struct WhereConstants: ~Copyable {
  private struct Constant: BitwiseCopyable {
    let integer: Int64
    let double: Double
    let bytes: PreparedRange
  }

  private let constants: OwnedArray<Constant>
  private let blob: ByteWriter

  init(_ literals: [WhereLiteral]) {
    var blob = ByteWriter(capacity: 64)
    constants = OwnedArray(count: literals.count) { index in
      let start = blob.count
      blob.append(array: literals[index].bytes)
      return Constant(
        integer: literals[index].integer, double: literals[index].double,
        bytes: PreparedRange(start, blob.count))
    }
    self.blob = blob
  }

  /// Whether a text matches a pattern.
  func matches(_ text: RawSpan, pattern index: Int) -> Bool {
    LikePattern.matches(blob.bytes(constants[index].bytes.offsets), text)
  }

  /// How a column's text compares with a literal; nil when it is not what its type promises.
  func order(_ text: RawSpan, _ reading: WhereProgram.Reading, _ index: Int) -> Int? {
    let constant = constants[index]
    switch reading {
    case .integer, .boolean, .days, .daysAsTime, .moment, .time:
      guard let value = WhereProgram.integer(text, reading) else { return nil }
      return value < constant.integer ? -1 : value == constant.integer ? 0 : 1
    case .single, .double:
      guard let value = WhereProgram.double(text, reading) else { return nil }
      return WhereProgram.order(value, constant.double)
    case .numeric: return NumericOrder.compare(text, blob.bytes(constant.bytes.offsets))
    case .bytes: return ByteOrder.compare(text, blob.bytes(constant.bytes.offsets))
    case .trimmed:
      return ByteOrder.compare(
        WhereProgram.trimmed(text), blob.bytes(constant.bytes.offsets))
    }
  }
}
