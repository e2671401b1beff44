/// Prepares a password for SCRAM exactly as PostgreSQL does (RFC 4013 with its deviations).
///
/// Pure ASCII stays as it is, even control characters. What is no UTF-8, empty after mapping,
/// prohibited, unassigned in Unicode 3.2 or mixed in direction is used raw instead of being refused.
/// As in PostgreSQL, the checks look at the mapped text *before* normalization.
enum SASLprep {
  /// The bytes to hash for this password.
  static func prepare(_ password: [UInt8]) -> [UInt8] {
    guard password.contains(where: { $0 >= 0x80 }) else { return password }
    guard let text = String(validating: password, as: UTF8.self) else { return password }
    let mapped = map(text)
    guard !mapped.isEmpty, !mapped.contains(where: isProhibited), isDirectionConsistent(mapped)
    else { return password }
    var prepared = String.UnicodeScalarView()
    for scalar in NormalizationFormKC.normalize(mapped) { prepared.append(scalar) }
    return Array(String(prepared).utf8)
  }

  private static func map(_ text: String) -> [Unicode.Scalar] {
    var mapped: [Unicode.Scalar] = []
    for scalar in text.unicodeScalars {
      if Stringprep.nonASCIISpace.contains(scalar) {
        mapped.append(" ")
      } else if !Stringprep.mappedToNothing.contains(scalar) {
        mapped.append(scalar)
      }
    }
    return mapped
  }

  private static func isProhibited(_ scalar: Unicode.Scalar) -> Bool {
    Stringprep.prohibited.contains(scalar) || Stringprep.unassigned.contains(scalar)
  }

  /// RFC 3454, section 6: right-to-left text is not mixed, and it starts and ends the string.
  private static func isDirectionConsistent(_ text: [Unicode.Scalar]) -> Bool {
    guard text.contains(where: { Stringprep.rightToLeft.contains($0) }) else { return true }
    guard let first = text.first, let last = text.last else { return true }
    return !text.contains { Stringprep.leftToRight.contains($0) }
      && Stringprep.rightToLeft.contains(first) && Stringprep.rightToLeft.contains(last)
  }
}
