/// An amount of bytes, as the configuration writes it: an integer, "64MiB", "10 kB".
struct ByteSize: Hashable, Comparable, Sendable {
  /// How many bytes.
  let bytes: Int

  /// Makes it from a count.
  init(_ bytes: Int) { self.bytes = bytes }

  /// So many times 1024 × 1024 bytes.
  static func mebibytes(_ count: Int) -> ByteSize { ByteSize(count << 20) }

  /// Orders by bytes.
  static func < (a: ByteSize, b: ByteSize) -> Bool { a.bytes < b.bytes }

  private static let units: [String: Int] = [
    "": 1, "b": 1, "kb": 1000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
  ]

  /// Reads a number with or without a unit, in any letter case; `nil` when it is none or too big.
  init?(_ text: String) {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
    guard let number = Int(digits), let factor = Self.units[unit] else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    guard !overflow else { return nil }
    self.init(product)
  }
}

extension ByteSize: CustomStringConvertible {
  /// In the largest binary unit that gives a whole number: "64MiB".
  var description: String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
      if bytes != 0, bytes % (1 << shift) == 0 { return "\(bytes >> shift)\(unit)" }
    }
    return "\(bytes)"
  }
}
