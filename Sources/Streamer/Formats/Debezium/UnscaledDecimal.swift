import PGWire

/// Writes decimals as Java's `BigDecimal` has them: the unscaled number in two's complement, the
/// highest byte first, in as few bytes as it takes.
///
/// It keeps its buffers for the next value.
struct UnscaledDecimal: ~Copyable {
  private var limbs: [UInt32] = []
  private var bytes = ByteWriter(capacity: 32)

  /// What a decimal's text consists of.
  private struct Parts {
    var isNegative = false
    /// Where its digits begin and end; a point lies among them.
    var start = 0
    var end = 0
    /// How many digits there are.
    var digits = 0
    /// How many of them stand behind the point.
    var scale = 0

    /// Takes a plain text apart, `-12.50`; nil for NaN, the infinities and everything else.
    init?(_ text: RawSpan) {
      var at = 0
      if text.byteCount > 0, text[0] == 0x2D {
        isNegative = true
        at = 1
      }
      start = at
      end = text.byteCount
      guard start < end else { return nil }
      var isBehind = false
      while at < end {
        let byte = text[at]
        if byte == 0x2E, !isBehind {
          isBehind = true
        } else if byte &- 0x30 < 10 {
          digits &+= 1
          if isBehind { scale &+= 1 }
        } else {
          return nil
        }
        at &+= 1
      }
      // A point has digits on both sides.
      guard digits > 0, scale > 0 || !isBehind else { return nil }
    }
  }

  /// Appends the bytes of a decimal of this scale in base 64, with quotes; false, and nothing, for
  /// what is no finite number.
  mutating func append(_ text: RawSpan, scale: Int, to json: inout ByteWriter) -> Bool {
    guard let parts = Parts(text) else { return false }
    append(text, parts, more: scale &- parts.scale, to: &json)
    return true
  }

  /// Appends a struct of the scale and the bytes, without zeros behind the point.
  mutating func append(variable text: RawSpan, to json: inout ByteWriter) -> Bool {
    guard let parts = Parts(text) else { return false }
    var zeros = 0
    while zeros < parts.scale, text[parts.end &- 1 &- zeros] == 0x30 { zeros &+= 1 }
    json.append("{\"scale\":")
    json.append(decimal: UInt64(parts.scale &- zeros))
    json.append(",\"value\":")
    append(text, parts, more: -zeros, to: &json)
    json.append(0x7D as UInt8)
    return true
  }

  /// Appends the digits with `more` zeros behind them, or without as many of the last ones.
  private mutating func append(
    _ text: RawSpan, _ parts: Parts, more: Int, to json: inout ByteWriter
  ) {
    fill(text, parts, more: more)
    Base64.append(bytes.bytes, to: &json)
  }

  /// Appends a decimal of this scale with its length, as Avro has bytes.
  mutating func append(avro text: RawSpan, scale: Int, to avro: inout ByteWriter) -> Bool {
    guard let parts = Parts(text) else { return false }
    fill(text, parts, more: scale &- parts.scale)
    avro.append(avro: bytes.bytes)
    return true
  }

  /// Appends its own scale and its bytes, like ``append(variable:to:)``.
  mutating func append(avroVariable text: RawSpan, to avro: inout ByteWriter) -> Bool {
    guard let parts = Parts(text) else { return false }
    var zeros = 0
    while zeros < parts.scale, text[parts.end &- 1 &- zeros] == 0x30 { zeros &+= 1 }
    avro.append(zigzag: Int64(parts.scale &- zeros))
    fill(text, parts, more: -zeros)
    avro.append(avro: bytes.bytes)
    return true
  }

  /// Appends a decimal of this scale as Confluent's message: its bytes, how many digits it has, its
  /// scale.
  mutating func append(protobuf text: RawSpan, scale: Int, to bytes: inout ByteWriter) -> Bool {
    guard let parts = Parts(text) else { return false }
    let more = scale &- parts.scale
    fill(text, parts, more: more)
    // Zeros before the first other digit count for nothing.
    var zeros = 0
    var at = parts.start
    while at < parts.end, text[at] == 0x30 || text[at] == 0x2E {
      if text[at] == 0x30 { zeros &+= 1 }
      at &+= 1
    }
    let precision = zeros == parts.digits ? 1 : max(1, parts.digits &- zeros &+ more)
    let start = bytes.beginPart()
    append(protobufBytes: 1, to: &bytes)
    bytes.append(field: 2, value: Int64(precision))
    if scale != 0 { bytes.append(field: 3, value: Int64(scale)) }
    bytes.endPart(from: start)
    return true
  }

  /// Appends its own scale and its bytes as a message, like ``append(variable:to:)``.
  mutating func append(protobufVariable text: RawSpan, to bytes: inout ByteWriter) -> Bool {
    guard let parts = Parts(text) else { return false }
    var zeros = 0
    while zeros < parts.scale, text[parts.end &- 1 &- zeros] == 0x30 { zeros &+= 1 }
    fill(text, parts, more: -zeros)
    let start = bytes.beginPart()
    if parts.scale > zeros { bytes.append(field: 1, value: Int64(parts.scale &- zeros)) }
    append(protobufBytes: 2, to: &bytes)
    bytes.endPart(from: start)
    return true
  }

  private func append(protobufBytes number: Int32, to output: inout ByteWriter) {
    output.append(field: number, ProtobufWire.bytes)
    output.append(protobuf: bytes.bytes)
  }

  /// Makes ``bytes`` those of the digits, like ``append(_:_:more:to:)``.
  private mutating func fill(_ text: RawSpan, _ parts: Parts, more: Int) {
    let digits = parts.digits
    let count = max(0, digits &+ more)
    bytes.removeAll()
    if count <= 18 {
      var value: Int64 = 0
      var at = parts.start
      var taken = 0
      while taken < count {
        if taken < digits {
          if text[at] == 0x2E { at &+= 1 }
          value = value &* 10 &+ Int64(text[at] &- 0x30)
          at &+= 1
        } else {
          value &*= 10
        }
        taken &+= 1
      }
      Self.append(parts.isNegative ? -value : value, to: &bytes)
    } else {
      appendLong(text, parts, count)
    }
  }

  /// Appends a number's bytes, at least one.
  private static func append(_ value: Int64, to bytes: inout ByteWriter) {
    let bits = 64 &- (value < 0 ? ~value : value).leadingZeroBitCount
    var shift = (bits / 8) &* 8
    while shift >= 0 {
      bytes.append(UInt8(truncatingIfNeeded: value &>> Int64(shift)))
      shift &-= 8
    }
  }

  /// Multiplies and adds, nine digits at a time, the lowest limb first.
  private mutating func appendLong(_ text: RawSpan, _ parts: Parts, _ count: Int) {
    limbs.removeAll(keepingCapacity: true)
    var at = parts.start
    var taken = 0
    while taken < count {
      var chunk: UInt64 = 0
      var power: UInt64 = 1
      while power < 1_000_000_000, taken < count {
        var digit: UInt64 = 0
        if at < parts.end, text[at] == 0x2E { at &+= 1 }
        if at < parts.end {
          digit = UInt64(text[at] &- 0x30)
          at &+= 1
        }
        chunk = chunk &* 10 &+ digit
        power &*= 10
        taken &+= 1
      }
      for index in limbs.indices {
        chunk &+= UInt64(limbs[index]) &* power
        limbs[index] = UInt32(truncatingIfNeeded: chunk)
        chunk &>>= 32
      }
      if chunk > 0 { limbs.append(UInt32(truncatingIfNeeded: chunk)) }
    }
    appendLimbs(isNegative: parts.isNegative)
  }

  /// The limbs as bytes, negated where it is asked for, without what the sign says anyway.
  private mutating func appendLimbs(isNegative: Bool) {
    if isNegative {
      var carry = true
      for index in limbs.indices {
        limbs[index] = ~limbs[index]
        if carry {
          limbs[index] &+= 1
          carry = limbs[index] == 0
        }
      }
    }
    let isBelow = isNegative && limbs.contains { $0 != 0 }
    let filling: UInt8 = isBelow ? 0xFF : 0
    var isLeading = true
    var last = filling
    for limb in limbs.reversed() {
      for place in 0..<4 {
        let byte = UInt8(truncatingIfNeeded: limb &>> UInt32(24 &- 8 &* place))
        if isLeading {
          if byte == filling { continue }
          isLeading = false
          if byte & 0x80 != filling & 0x80 { bytes.append(filling) }
        }
        last = byte
        bytes.append(byte)
      }
    }
    if isLeading { bytes.append(last) }
  }
}
