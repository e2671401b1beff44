import PGWire

/// Makes a ``WhereProgram`` of a condition for the columns of one table, with the types and casts that
/// PostgreSQL would choose.
struct WhereCompiler {
  /// One side of a comparison.
  private struct Side {
    var column: Int?
    /// Nil for a text whose type is that of the other side.
    var type: WhereType?
    var text = ""
    var isNull = false
    /// Whether it is ordered byte by byte.
    var isBytewise = false
    /// How an error names it.
    var shown: String
  }

  private typealias Step = WhereProgram.Step

  private let relation: Relation
  private let types: TypeCatalog
  private var steps: [Step] = []
  private var literals: [WhereLiteral] = []

  /// Compiles a condition; throws where it does not fit the table.
  ///
  /// Types that `types` does not describe are taken to fit: they are looked up before the first row.
  static func compile(
    _ expression: WhereExpression, for relation: Relation, _ types: TypeCatalog
  ) throws(TableRules.Misfit) -> WhereProgram {
    var compiler = WhereCompiler(relation: relation, types: types)
    try compiler.emit(expression)
    let names = expression.columns
    let identity = relation.columns.allSatisfy { $0.isKey || !names.contains($0.name) }
    return WhereProgram(compiler.steps, compiler.literals, readsIdentityOnly: identity)
  }

  private init(relation: Relation, types: TypeCatalog) {
    self.relation = relation
    self.types = types
  }

  private func misfit(_ why: String) -> TableRules.Misfit { TableRules.Misfit(why, key: "where") }

  // MARK: - Columns

  private func place(_ name: String) throws(TableRules.Misfit) -> Int {
    guard let place = relation.columns.firstIndex(where: { $0.name == name }) else {
      throw .noColumn(name, key: "where", in: relation)
    }
    return place
  }

  private func type(of place: Int) -> WhereType {
    var oid = relation.columns[place].type
    for _ in 0..<Limits.whereDepth {
      if let type = WhereType(builtin: oid) { return type }
      guard let description = types.description(of: oid) else { return .undetermined }
      switch description.kind {
      case .domain(let base): oid = base
      case .enumeration: return .enumeration(oid)
      default: return .other(oid)
      }
    }
    return .other(oid)
  }

  // MARK: - Conditions

  private mutating func push(_ truth: WhereTruth) {
    steps.append(Step(operation: .push, a: Int32(truth.rawValue)))
  }

  private mutating func emit(_ expression: WhereExpression) throws(TableRules.Misfit) {
    switch expression {
    case .null: push(.null)
    case .boolean(let flag): push(flag ? .yes : .no)
    case .column(let name):
      let place = try place(name)
      switch type(of: place) {
      case .boolean, .undetermined: steps.append(Step(operation: .column, a: Int32(place)))
      default: throw misfit("column \"\(name)\" is no boolean, which a condition of its own is")
      }
    case .and(let a, let b), .or(let a, let b):
      try emit(a)
      try emit(b)
      if case .and = expression { add(.and) } else { add(.or) }
    case .not(let a):
      try emit(a)
      add(.not)
    case .test(let a, let test): try emit(a, test)
    case .compare(let comparison, let a, let b):
      try emit(comparison, try side(a), try side(b))
    case .isIn(let a, let list): try emit(a, isIn: list)
    case .like(let a, let pattern, let escape): try emit(a, like: pattern, escape)
    case .number, .text, .typed, .collated: throw misfit("a value stands where a condition must")
    }
  }

  private mutating func add(_ operation: Step.Operation) {
    steps.append(Step(operation: operation))
  }

  private mutating func emit(
    _ expression: WhereExpression, _ test: WhereExpression.Test
  ) throws(TableRules.Misfit) {
    if test == .null {
      switch expression {
      case .column(let name):
        steps.append(Step(operation: .isNull, a: Int32(try place(name))))
        return
      case .number, .text, .typed, .collated:
        let side = try side(expression)
        guard let column = side.column else { return push(.no) }
        steps.append(Step(operation: .isNull, a: Int32(column)))
        return
      default: break
      }
    }
    try emit(expression)
    switch test {
    case .null: add(.isUnknown)
    case .yes: add(.isTrue)
    case .no: add(.isFalse)
    }
  }

  private mutating func emit(
    _ value: WhereExpression, isIn list: [WhereExpression]
  ) throws(TableRules.Misfit) {
    let left = try side(value)
    var members: [Side] = []
    for member in list { members.append(try side(member)) }
    let constants = members.indices.filter { members[$0].column == nil }
    // The literals of a list have one type in PostgreSQL, that of the widest.
    if constants.count > 1, left.type?.isNumber == true {
      let isDouble = constants.contains { members[$0].type?.isFloat == true }
      for index in constants where members[index].type?.isNumber == true {
        if isDouble {
          members[index].type = .double
        } else if left.type == .real {
          members[index].type = .real
        }
      }
    }
    for (number, member) in members.enumerated() {
      try emit(.equal, left, member)
      if number > 0 { add(.or) }
    }
  }

  private mutating func emit(
    _ value: WhereExpression, like pattern: String, _ escape: Unicode.Scalar?
  ) throws(TableRules.Misfit) {
    let side = try side(value)
    guard let pattern = LikePattern(pattern, escape: escape) else {
      throw misfit("a pattern ends with its escape character")
    }
    if side.isNull { return push(.null) }
    let type = side.type ?? .text
    guard type.isText || type == .undetermined else {
      throw misfit("LIKE takes text, and \(side.shown) is none")
    }
    guard let column = side.column else {
      let matches = LikePattern.matches(
        unsafe pattern.elements.span.bytes, unsafe Array(side.text.utf8).span.bytes)
      return push(matches ? .yes : .no)
    }
    literals.append(WhereLiteral(bytes: pattern.elements))
    steps.append(Step(operation: .like, a: Int32(column), b: Int32(literals.count - 1)))
  }

  // MARK: - Comparisons

  private func side(_ expression: WhereExpression) throws(TableRules.Misfit) -> Side {
    switch expression {
    case .column(let name):
      let place = try place(name)
      let type = type(of: place)
      return Side(
        column: place, type: type, isBytewise: type == .name, shown: "column \"\(name)\"")
    case .null: return Side(isNull: true, shown: "NULL")
    case .boolean(let flag): return Side(type: .boolean, text: "\(flag)", shown: "\(flag)")
    case .number(let text):
      return Side(
        type: Int64(text) == nil ? .numeric : .bigint, text: text, shown: "the number \(text)")
    case .text(let text): return Side(text: text, shown: "the text \(TOMLValue.quoted(text))")
    case .typed(let text, let type):
      return Side(
        type: type, text: text, isBytewise: type == .name,
        shown: "the literal \(TOMLValue.quoted(text))")
    case .collated(let inner):
      var side = try side(inner)
      guard side.type?.isText ?? true || side.type == .undetermined else {
        throw misfit("COLLATE takes text, and \(side.shown) is none")
      }
      side.isBytewise = true
      return side
    default: throw misfit("a condition stands where a value must")
    }
  }

  private mutating func emit(
    _ comparison: WhereExpression.Comparison, _ a: Side, _ b: Side
  ) throws(TableRules.Misfit) {
    if a.isNull || b.isNull { return try emitNull(comparison, a, b) }
    let types = [a.type, b.type].compactMap(\.self)
    if types.contains(.undetermined) { return push(.unsent) }
    // Only a literal takes the type of the other side.
    let left = a.type ?? b.type ?? .text
    let right = b.type ?? left
    let (x, y) = try readings(comparison, (left, a), (right, b))
    switch (a.column, b.column) {
    case (let first?, let second?):
      steps.append(
        Step(
          operation: .compareColumns, comparison: comparison.rawValue, reading: x, otherReading: y,
          a: Int32(first), b: Int32(second)))
    case (let column?, nil):
      try emit(comparison, column, x, b, as: y, right)
    case (nil, let column?):
      try emit(comparison.mirrored, column, y, a, as: x, left)
    case (nil, nil):
      push(try fold(comparison, try literal(a, as: x, left), try literal(b, as: y, right), x))
    }
  }

  /// A comparison with NULL is null, or asks whether the other side is.
  private mutating func emitNull(
    _ comparison: WhereExpression.Comparison, _ a: Side, _ b: Side
  ) throws(TableRules.Misfit) {
    guard comparison == .distinct || comparison == .notDistinct else { return push(.null) }
    if let column = a.column ?? b.column {
      steps.append(Step(operation: .isNull, a: Int32(column)))
    } else {
      push(a.isNull && b.isNull ? .yes : .no)
    }
    if comparison == .distinct { add(.not) }
  }

  private mutating func emit(
    _ comparison: WhereExpression.Comparison, _ column: Int, _ reading: WhereProgram.Reading,
    _ side: Side, as literalReading: WhereProgram.Reading, _ type: WhereType
  ) throws(TableRules.Misfit) {
    literals.append(try literal(side, as: literalReading, type))
    steps.append(
      Step(
        operation: .compare, comparison: comparison.rawValue, reading: reading, a: Int32(column),
        b: Int32(literals.count - 1)))
  }

  private func literal(
    _ side: Side, as reading: WhereProgram.Reading, _ type: WhereType
  ) throws(TableRules.Misfit) -> WhereLiteral {
    var target = type
    switch reading {
    case .double where type != .real: target = .double
    case .numeric: target = .numeric
    case .trimmed: target = .character
    case .bytes where type == .character: target = .text
    default: break
    }
    guard var literal = WhereLiteral(side.text, as: target) else {
      throw misfit("\(side.shown) is not \(WhereLiteral.expected(type))")
    }
    if reading == .daysAsTime { literal = literal.atMidnight }
    return literal
  }

  private func fold(
    _ comparison: WhereExpression.Comparison, _ a: WhereLiteral, _ b: WhereLiteral,
    _ reading: WhereProgram.Reading
  ) throws(TableRules.Misfit) -> WhereTruth {
    let order: Int =
      switch reading {
      case .single, .double: WhereProgram.order(a.double, b.double)
      case .numeric:
        NumericOrder.compare(unsafe a.bytes.span.bytes, unsafe b.bytes.span.bytes)
      case .bytes, .trimmed:
        ByteOrder.compare(unsafe a.bytes.span.bytes, unsafe b.bytes.span.bytes)
      default: a.integer < b.integer ? -1 : a.integer == b.integer ? 0 : 1
      }
    return WhereProgram.holds(comparison, order) ? .yes : .no
  }

  /// How both sides are read, or why they cannot be compared.
  private func readings(
    _ comparison: WhereExpression.Comparison, _ a: (type: WhereType, side: Side),
    _ b: (type: WhereType, side: Side)
  ) throws(TableRules.Misfit) -> (WhereProgram.Reading, WhereProgram.Reading) {
    switch (a.type, b.type) {
    case (let x, let y) where x.isNumber && y.isNumber:
      if x == .real, y == .real { return (.single, .single) }
      if x.isFloat || y.isFloat {
        return (x == .real ? .single : .double, y == .real ? .single : .double)
      }
      return x.isInteger && y.isInteger ? (.integer, .integer) : (.numeric, .numeric)
    case (let x, let y) where x.isText && y.isText:
      let isBytewise = a.side.isBytewise || b.side.isBytewise
      guard !comparison.isOrder || isBytewise else {
        throw misfit(
          "\(a.side.shown) and \(b.side.shown) are ordered by a collation that is the server's: "
            + "write COLLATE \"C\" behind one of them")
      }
      // Next to varchar both are char(n), next to text the blanks of char(n) are gone.
      let others: [WhereType] = [.character, .varchar]
      if x == .character && others.contains(y) || y == .character && others.contains(x) {
        return (.trimmed, .trimmed)
      }
      return (x == .character ? .trimmed : .bytes, y == .character ? .trimmed : .bytes)
    case (.boolean, .boolean): return (.boolean, .boolean)
    case (.time, .time): return (.time, .time)
    case (.uuid, .uuid): return (.bytes, .bytes)
    case (.date, .date): return (.days, .days)
    case (.date, .timestamp), (.date, .timestamptz): return (.daysAsTime, .moment)
    case (.timestamp, .date), (.timestamptz, .date): return (.moment, .daysAsTime)
    case (.timestamp, .timestamp), (.timestamp, .timestamptz), (.timestamptz, .timestamp),
      (.timestamptz, .timestamptz):
      return (.moment, .moment)
    case (.enumeration(let x), .enumeration(let y)) where x == y:
      guard !comparison.isOrder else {
        throw misfit("\(a.side.shown) is an enum, whose order is not known here")
      }
      return (.bytes, .bytes)
    default:
      throw misfit(
        "\(a.side.shown) (\(name(a.type))) and \(b.side.shown) (\(name(b.type))) cannot be compared"
      )
    }
  }

  private func name(_ type: WhereType) -> String {
    switch type {
    case .enumeration(let oid), .other(let oid): types.description(of: oid)?.name ?? "type \(oid)"
    default: "\(type)"
    }
  }
}

extension WhereLiteral {
  /// A day as the time at which it begins.
  fileprivate var atMidnight: WhereLiteral {
    guard integer != .max, integer != .min else { return self }
    let (product, overflows) = integer.multipliedReportingOverflow(
      by: CalendarText.microsecondsPerDay)
    let most = integer < 0 ? Int64.min + 1 : .max - 1
    return WhereLiteral(integer: overflows ? most : product)
  }
}
