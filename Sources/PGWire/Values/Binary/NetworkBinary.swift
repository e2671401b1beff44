/// The binary forms of network addresses.
///
/// ```
/// inet, cidr: Byte1 family (2, 3 = IPv6)  Byte1 bits of the mask  Byte1 is cidr  Byte1 length
///             the address
/// macaddr:    six bytes          macaddr8: eight bytes
/// ```
enum NetworkBinary {
  /// Appends an address.
  @_lifetime(reader: copy reader)
  static func append(
    _ reader: inout ByteReader, as rule: BinaryFormat.Rule, to text: inout ByteWriter
  ) throws(DecodingError) {
    guard rule == .network else {
      for index in 0..<(rule == .macaddr ? 6 : 8) {
        if index > 0 { text.append(Ascii.colon) }
        text.append(hexadecimal: UInt64(try reader.byte()), digits: 2)
      }
      return
    }
    let family = try reader.byte()
    let bits = try reader.byte()
    let isCIDR = try reader.byte() != 0
    let length = try reader.byte()
    switch (family, length) {
    case (2, 4):
      guard bits <= 32 else { throw DecodingError(.badLength(Int(bits)), at: 1) }
      append(ipv4: try reader.integer(UInt32.self), to: &text)
      guard isCIDR || bits != 32 else { return }
    case (3, 16):
      guard bits <= 128 else { throw DecodingError(.badLength(Int(bits)), at: 1) }
      append(
        ipv6: UInt128(try reader.integer(UInt64.self)) << 64
          | UInt128(try reader.integer(UInt64.self)), to: &text)
      guard isCIDR || bits != 128 else { return }
    default: throw DecodingError(.unknownCode(UInt32(family)), at: 0)
    }
    text.append(0x2F as UInt8)
    text.append(decimal: UInt64(bits))
  }

  private static func append(ipv4 address: UInt32, to text: inout ByteWriter) {
    for index in 0..<4 as Range<UInt32> {
      if index > 0 { text.append(0x2E as UInt8) }
      text.append(decimal: UInt64(address >> (24 - 8 * index) & 0xFF))
    }
  }

  /// The longest run of zeros becomes `::`; an embedded IPv4 address is written as one.
  private static func append(ipv6 address: UInt128, to text: inout ByteWriter) {
    func word(_ index: Int) -> UInt64 {
      UInt64(truncatingIfNeeded: address >> UInt128(112 - 16 * index) & 0xFFFF)
    }
    var start = -1
    var length = 1
    var run = 0
    for index in 0..<8 {
      run = word(index) == 0 ? run + 1 : 0
      guard run > length else { continue }
      start = index - run + 1
      length = run
    }
    if start < 0 { length = 0 }
    var index = 0
    while index < 8 {
      if index == start {
        text.append(Ascii.colon)
        index += length
        continue
      }
      if index > 0 { text.append(Ascii.colon) }
      if index == 6, start == 0,
        length == 6 || (length == 7 && word(7) != 1) || (length == 5 && word(5) == 0xFFFF)
      {
        return append(ipv4: UInt32(truncatingIfNeeded: address), to: &text)
      }
      let digits = max(1, (64 - word(index).leadingZeroBitCount + 3) / 4)
      text.append(hexadecimal: word(index), digits: digits)
      index += 1
    }
    if start >= 0, start + length == 8 { text.append(Ascii.colon) }
  }
}
