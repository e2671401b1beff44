/// Unicode's normalization form KC (UAX #15), for the repertoire of Unicode 3.2.
///
/// Written here because the standard library keeps its own normalization private and Foundation is
/// too large a guest for one password.
enum NormalizationFormKC {
  /// The normalized text.
  static func normalize(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var decomposed: [Unicode.Scalar] = []
    for scalar in text { decompose(scalar, into: &decomposed) }
    reorder(&decomposed)
    return compose(decomposed)
  }

  private static func decompose(_ scalar: Unicode.Scalar, into output: inout [Unicode.Scalar]) {
    if let syllable = Hangul.decompose(scalar) {
      output += syllable
    } else if let step = step(of: scalar) {
      for part in step { decompose(part, into: &output) }
    } else {
      output.append(scalar)
    }
  }

  /// Sorts each run of combining marks by combining class, keeping the order of equals.
  private static func reorder(_ text: inout [Unicode.Scalar]) {
    for end in text.indices.dropFirst() {
      let mark = combiningClass(text[end])
      guard mark != 0 else { continue }
      var at = end
      while at > 0, combiningClass(text[at - 1]) > mark {
        text.swapAt(at, at - 1)
        at -= 1
      }
    }
  }

  private static func compose(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var output: [Unicode.Scalar] = []
    var starter: Int?
    var lastClass = 0
    for scalar in text {
      let mark = combiningClass(scalar)
      // A mark is blocked from the starter by one of its own class or a starter in between.
      let adjacent = starter.map { $0 == output.count - 1 } ?? false
      if let at = starter, adjacent || (lastClass != 0 && lastClass < mark),
        let composite = composite(of: output[at], scalar)
      {
        output[at] = composite
        continue
      }
      if mark == 0 { starter = output.count }
      lastClass = mark
      output.append(scalar)
    }
    return output
  }

  private static func combiningClass(_ scalar: Unicode.Scalar) -> Int {
    Int(scalar.properties.canonicalCombiningClass.rawValue)
  }

  private static func step(of scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
    var found: [Unicode.Scalar]?
    forEachEntry { first, more, _, targets in
      guard scalar.value >= first else { return false }
      guard scalar.value <= first + more else { return true }
      var targets = targets
      targets[targets.count - 1] += scalar.value - first
      found = targets.compactMap(Unicode.Scalar.init)
      return false
    }
    return found
  }

  private static func composite(of a: Unicode.Scalar, _ b: Unicode.Scalar) -> Unicode.Scalar? {
    if let syllable = Hangul.compose(a, b) { return syllable }
    // Nothing below the combining marks is the second half of a composite: the table need not be read.
    guard b.value >= 0x300 else { return nil }
    var found: Unicode.Scalar?
    forEachEntry { first, more, isCanonical, targets in
      guard isCanonical, targets.count == 2, targets[0] == a.value, targets[1] <= b.value,
        b.value - targets[1] <= more
      else { return true }
      found = Unicode.Scalar(first + (b.value - targets[1]))
      return false
    }
    guard let found, !NormalizationTables.compositionExclusions.contains(found) else { return nil }
    return found
  }

  /// Walks the table; the body says whether to go on.
  private static func forEachEntry(
    _ body: (_ first: UInt32, _ more: UInt32, _ isCanonical: Bool, _ targets: [UInt32]) -> Bool
  ) {
    var reader = TableReader(NormalizationTables.decompositions)
    var last: UInt32 = 0
    var targets: [UInt32] = []
    while let distance = reader.number() {
      let first = last + distance
      let more = reader.skip("+") ? reader.number() ?? 0 : 0
      last = first + more
      let isCanonical = reader.skip("=")
      if !isCanonical { _ = reader.skip(":") }
      targets.removeAll(keepingCapacity: true)
      repeat { targets.append(reader.number() ?? 0) } while reader.skip(",")
      guard body(first, more, isCanonical, targets) else { return }
      _ = reader.skip(" ")
    }
  }
}

/// Korean syllables, which are composed by arithmetic (Unicode standard, section 3.12).
private enum Hangul {
  static let syllables: Range<UInt32> = 0xAC00..<(0xAC00 + 11172)
  static let leading: Range<UInt32> = 0x1100..<(0x1100 + 19)
  static let vowels: Range<UInt32> = 0x1161..<(0x1161 + 21)
  /// The first one stands for "no trailing consonant".
  static let trailing: Range<UInt32> = 0x11A7..<(0x11A7 + 28)

  static func decompose(_ scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
    guard syllables.contains(scalar.value) else { return nil }
    let index = scalar.value - syllables.lowerBound
    var parts = [
      leading.lowerBound + index / 588, vowels.lowerBound + index % 588 / 28,
    ]
    if index % 28 != 0 { parts.append(trailing.lowerBound + index % 28) }
    return parts.compactMap(Unicode.Scalar.init)
  }

  static func compose(_ a: Unicode.Scalar, _ b: Unicode.Scalar) -> Unicode.Scalar? {
    if leading.contains(a.value), vowels.contains(b.value) {
      let pair = (a.value - leading.lowerBound) * 21 + b.value - vowels.lowerBound
      return Unicode.Scalar(syllables.lowerBound + pair * 28)
    }
    guard syllables.contains(a.value), (a.value - syllables.lowerBound).isMultiple(of: 28),
      trailing.dropFirst().contains(b.value)
    else { return nil }
    return Unicode.Scalar(a.value + b.value - trailing.lowerBound)
  }
}
