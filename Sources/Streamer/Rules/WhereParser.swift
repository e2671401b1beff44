/// Reads a condition in SQL's own syntax, with PostgreSQL's precedences: `or`, `and`, `not`, `is`,
/// comparisons, then `between`, `in` and `like`.
struct WhereParser {
  /// How many levels of brackets and `not` it may have.
  static let deepest = Limits.whereDepth
  private let tokens: [(token: WhereToken, column: Int)]
  private var at = 0
  private var level = 0

  /// Reads a whole condition.
  static func parse(_ text: String) throws(WhereError) -> WhereExpression {
    var parser = WhereParser(tokens: try WhereLexer.tokens(text))
    let expression = try parser.disjunction()
    guard parser.token == .end else {
      throw parser.unexpected("an operator such as AND, or its end")
    }
    guard expression.isCondition else {
      throw WhereError(column: 1, found: "a value", expected: "a condition")
    }
    guard expression.depth <= WhereProgram.deepest else { throw parser.tooDeep }
    return expression
  }

  private init(tokens: [(token: WhereToken, column: Int)]) { self.tokens = tokens }

  // MARK: - Tokens

  private var token: WhereToken { tokens[at].token }

  private func unexpected(_ expected: String) -> WhereError {
    WhereError(column: tokens[at].column, found: token.shown, expected: expected)
  }

  private var tooDeep: WhereError {
    WhereError(
      column: tokens[at].column, found: "more than \(Self.deepest) levels",
      expected: "a condition that is less deeply nested")
  }

  private mutating func take(_ word: String) -> Bool {
    guard token == .word(word) else { return false }
    at += 1
    return true
  }

  private mutating func take(symbol: String) -> Bool {
    guard token == .symbol(symbol) else { return false }
    at += 1
    return true
  }

  private mutating func require(_ word: String) throws(WhereError) {
    guard take(word) else { throw unexpected(word.uppercased()) }
  }

  private mutating func require(symbol: String) throws(WhereError) {
    guard take(symbol: symbol) else { throw unexpected("\"\(symbol)\"") }
  }

  private func next(_ words: String...) -> Bool {
    for (offset, word) in words.enumerated() {
      guard at + offset < tokens.count, tokens[at + offset].token == .word(word) else {
        return false
      }
    }
    return true
  }

  /// Goes one level deeper; who calls it comes back up.
  private mutating func descend() throws(WhereError) {
    level += 1
    guard level <= Self.deepest else { throw tooDeep }
  }

  // MARK: - Conditions

  private mutating func disjunction() throws(WhereError) -> WhereExpression {
    var left = try conjunction()
    while token == .word("or") {
      try need(condition: left)
      at += 1
      let right = try conjunction()
      try need(condition: right)
      left = .or(left, right)
    }
    return left
  }

  private mutating func conjunction() throws(WhereError) -> WhereExpression {
    var left = try negation()
    while token == .word("and") {
      try need(condition: left)
      at += 1
      let right = try negation()
      try need(condition: right)
      left = .and(left, right)
    }
    return left
  }

  private mutating func negation() throws(WhereError) -> WhereExpression {
    guard take("not") else { return try tested() }
    try descend()
    let inner = try negation()
    try need(condition: inner)
    level -= 1
    return .not(inner)
  }

  private func need(condition expression: WhereExpression) throws(WhereError) {
    guard expression.isCondition else {
      throw WhereError(
        column: tokens[max(at - 1, 0)].column, found: "a value", expected: "a condition")
    }
  }

  /// `… IS NULL` and its like, which bind less than comparisons.
  private mutating func tested() throws(WhereError) -> WhereExpression {
    var left = try comparison()
    while true {
      if take("isnull") {
        left = .test(left, .null)
      } else if take("notnull") {
        left = .not(.test(left, .null))
      } else if take("is") {
        left = try tested(left)
      } else {
        return left
      }
    }
  }

  private mutating func tested(_ left: WhereExpression) throws(WhereError) -> WhereExpression {
    let isNot = take("not")
    if take("distinct") {
      try require("from")
      try need(value: left)
      let right = try operand()
      return .compare(isNot ? .notDistinct : .distinct, left, right)
    }
    let test: WhereExpression.Test
    if take("null") {
      test = .null
    } else if next("true") || next("false") || next("unknown") {
      try need(condition: left)
      test = next("true") ? .yes : next("false") ? .no : .null
      at += 1
    } else {
      throw unexpected("NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM")
    }
    return isNot ? .not(.test(left, test)) : .test(left, test)
  }

  private func need(value expression: WhereExpression) throws(WhereError) {
    guard expression.isValue else {
      throw WhereError(
        column: tokens[max(at - 1, 0)].column, found: "a condition that is compared",
        expected: "a column or a literal on each side")
    }
  }

  private static let comparisons: [String: WhereExpression.Comparison] = [
    "=": .equal, "<>": .notEqual, "!=": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater,
    ">=": .greaterOrEqual,
  ]

  private mutating func comparison() throws(WhereError) -> WhereExpression {
    let left = try ranged()
    guard case .symbol(let symbol) = token, let comparison = Self.comparisons[symbol] else {
      return left
    }
    try need(value: left)
    at += 1
    let right = try ranged()
    try need(value: right)
    if case .symbol(let next) = token, Self.comparisons[next] != nil {
      throw unexpected("AND or OR between two comparisons")
    }
    return .compare(comparison, left, right)
  }

  /// `BETWEEN`, `IN` and `LIKE`.
  private mutating func ranged() throws(WhereError) -> WhereExpression {
    let left = try operand()
    let isNot = next("not", "between") || next("not", "in") || next("not", "like")
    if isNot { at += 1 }
    let result: WhereExpression
    if take("between") {
      try need(value: left)
      let low = try operand()
      try require("and")
      let high = try operand()
      result = .and(.compare(.greaterOrEqual, left, low), .compare(.lessOrEqual, left, high))
    } else if take("in") {
      try need(value: left)
      result = .isIn(left, try list())
    } else if take("like") {
      try need(value: left)
      result = try like(left)
    } else {
      return left
    }
    return isNot ? .not(result) : result
  }

  private mutating func list() throws(WhereError) -> [WhereExpression] {
    try require(symbol: "(")
    var members: [WhereExpression] = []
    repeat {
      let member = try operand()
      try need(value: member)
      members.append(member)
    } while take(symbol: ",")
    try require(symbol: ")")
    return members
  }

  private mutating func like(_ left: WhereExpression) throws(WhereError) -> WhereExpression {
    guard case .text(let pattern) = token else { throw unexpected("a pattern in apostrophes") }
    let column = tokens[at].column
    at += 1
    var escape: Unicode.Scalar? = "\\"
    if take("escape") {
      guard case .text(let text) = token, text.unicodeScalars.count <= 1 else {
        throw unexpected("one character in apostrophes")
      }
      escape = text.unicodeScalars.first
      at += 1
    }
    guard LikePattern(pattern, escape: escape) != nil else {
      throw WhereError(
        column: column, found: "a pattern that ends with its escape character",
        expected: "a character behind it")
    }
    return .like(left, pattern: pattern, escape: escape)
  }
}

// MARK: - Values

extension WhereParser {
  /// Words that are no columns unless they are quoted.
  private static let reserved: Set<String> = [
    "and", "or", "not", "is", "in", "between", "like", "ilike", "similar", "null", "true", "false",
    "collate", "case", "cast", "select", "any", "all", "some", "array", "isnull", "notnull",
    "distinct", "from", "escape",
  ]

  fileprivate mutating func operand() throws(WhereError) -> WhereExpression {
    var value = try primary()
    while true {
      if token == .symbol("::") {
        let column = tokens[at].column
        at += 1
        value = try cast(value, to: try type(), at: column)
      } else if take("collate") {
        try need(value: value)
        guard token == .name("C") || token == .name("POSIX") else {
          throw unexpected("COLLATE \"C\", the only one that is known here")
        }
        at += 1
        value = .collated(value)
      } else {
        return value
      }
    }
  }

  private mutating func primary() throws(WhereError) -> WhereExpression {
    let place = tokens[at]
    switch place.token {
    case .name(let name):
      at += 1
      return .column(name)
    case .text(let text):
      at += 1
      return .text(text)
    case .number(let number):
      at += 1
      return .number(try canonical(number, at: place.column))
    case .symbol("("):
      try descend()
      at += 1
      let inner = try disjunction()
      try require(symbol: ")")
      level -= 1
      return inner
    case .symbol("-"), .symbol("+"):
      try descend()
      at += 1
      // A cast binds more than the sign.
      let inner = try operand()
      level -= 1
      let isMinus = place.token == .symbol("-")
      guard let signed = isMinus ? inner.negated : inner.isNumber ? inner : nil else {
        throw WhereError(column: place.column, found: "a sign", expected: "a number behind it")
      }
      return signed
    case .word(let word): return try self.word(word)
    default: throw unexpected("a column or a literal")
    }
  }

  private mutating func word(_ word: String) throws(WhereError) -> WhereExpression {
    switch word {
    case "null":
      at += 1
      return .null
    case "true", "false":
      at += 1
      return .boolean(word == "true")
    case "cast":
      at += 1
      try require(symbol: "(")
      let column = tokens[at].column
      let value = try operand()
      try require("as")
      let cast = try cast(value, to: try type(), at: column)
      try require(symbol: ")")
      return cast
    case _ where Self.reserved.contains(word): throw unexpected("a column or a literal")
    default: break
    }
    // DATE '2024-02-29'
    let start = at
    if let type = typeName(), case .text(let text) = token {
      at += 1
      return try cast(.text(text), to: type, at: tokens[start].column)
    }
    at = start + 1
    guard token != .symbol("(") else {
      throw WhereError(
        column: tokens[start].column, found: "the function \"\(word)\"",
        expected: "columns and literals only")
    }
    return .column(word)
  }

  private mutating func type() throws(WhereError) -> WhereType {
    guard let type = typeName() else {
      throw unexpected("a type such as date, numeric, timestamptz or uuid")
    }
    guard token != .symbol("(") else { throw unexpected("a type without a modifier") }
    return type
  }

  private mutating func typeName() -> WhereType? {
    let longest = 4
    for count in stride(from: min(longest, tokens.count - at), to: 0, by: -1) {
      var words: [String] = []
      for offset in 0..<count {
        guard case .word(let word) = tokens[at + offset].token else { break }
        words.append(word)
      }
      if words.count == count, let type = WhereType.names[words.joined(separator: " ")] {
        at += count
        return type
      }
    }
    return nil
  }

  private func cast(
    _ value: WhereExpression, to type: WhereType, at column: Int
  ) throws(WhereError) -> WhereExpression {
    let text: String
    switch value {
    case .null: return .null
    case .text(let literal): text = literal
    case .number(let number) where type.isNumber: text = number
    case .typed(let number, let old) where type.isNumber && old.isNumber: text = number
    default:
      throw WhereError(
        column: column, found: "a cast of something else than a literal",
        expected: "'…' or a number before it")
    }
    if type == .boolean {
      guard let flag = WhereLiteral.boolean(text) else {
        throw WhereError(column: column, found: "a text", expected: "'true' or 'false'")
      }
      return .boolean(flag)
    }
    guard WhereLiteral(text, as: type) != nil else {
      throw WhereError(
        column: column, found: TOMLValue.quoted(text), expected: WhereLiteral.expected(type))
    }
    return .typed(text, type)
  }

  private func canonical(_ number: String, at column: Int) throws(WhereError) -> String {
    guard let text = WhereLiteral.canonical(number) else {
      throw WhereError(
        column: column, found: "a number of more than \(Limits.whereDigits) digits",
        expected: "fewer")
    }
    return text
  }
}

extension WhereExpression {
  /// Whether it may stand where a condition must.
  fileprivate var isCondition: Bool {
    switch self {
    case .number, .text, .typed, .collated: false
    default: true
    }
  }

  /// Whether it may stand where a value must.
  fileprivate var isValue: Bool {
    switch self {
    case .column, .null, .boolean, .number, .text, .typed: true
    case .collated(let inner): inner.isValue
    default: false
    }
  }

  fileprivate var isNumber: Bool {
    switch self {
    case .number: true
    case .typed(_, let type): type.isNumber
    default: false
    }
  }

  /// The same number with the other sign; nil for what is no number.
  fileprivate var negated: WhereExpression? {
    func negate(_ text: String) -> String {
      text.hasPrefix("-") ? String(text.dropFirst()) : "-" + text
    }
    switch self {
    case .number(let text): return .number(text == "0" ? text : negate(text))
    case .typed(let text, let type) where type.isNumber && WhereLiteral.canonical(text) != nil:
      return .typed(negate(text), type)
    default: return nil
    }
  }
}
