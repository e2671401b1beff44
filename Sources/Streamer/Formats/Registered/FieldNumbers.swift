/// The numbers of a record's fields, in encodings that know fields by theirs, and the numbers that
/// fields had which are gone.
struct FieldNumbers: Hashable, Sendable {
  /// Those of the fields, in their order; empty where they are counted from 1 on.
  var numbers: [Int32] = []
  /// Those of fields that are gone, rising: nothing else may have them.
  var reserved: [Int32] = []

  /// The number of a field by its place.
  static func number(_ place: Int, _ numbers: [Int32]) -> Int32 {
    place < numbers.count ? numbers[place] : Int32(place + 1)
  }

  /// Protobuf's own, which no field may have.
  private static let taken: ClosedRange<Int32> = 19_000...19_999

  init() {}

  /// Gives fields their numbers: those that they have had, and new ones behind all others.
  init(of names: [String], after known: KnownFieldNumbers) {
    var last = max(known.numbers.values.max() ?? 0, known.reserved.max() ?? 0)
    numbers = names.map { name in
      if let number = known.numbers[name] { return number }
      last += 1
      if Self.taken.contains(last) { last = Self.taken.upperBound + 1 }
      return last
    }
    let kept = Set(numbers)
    reserved = (Array(known.numbers.values) + known.reserved).filter { !kept.contains($0) }
      .sorted()
  }
}

/// What the last schema of a subject says of a record's fields.
struct KnownFieldNumbers: Hashable, Sendable {
  /// By their names.
  var numbers: [String: Int32] = [:]
  /// Those that no field may have.
  var reserved: [Int32] = []
}
