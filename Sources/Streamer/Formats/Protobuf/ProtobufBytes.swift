import PGWire

/// How the value of a field is written.
enum ProtobufWire {
  static let varint: UInt8 = 0
  static let eightBytes: UInt8 = 1
  static let bytes: UInt8 = 2
  static let fourBytes: UInt8 = 5
}

/// What Protobuf's binary encoding consists of.
extension ByteWriter {
  /// Appends a whole number: seven bits a byte, the lowest first.
  @inline(__always)
  mutating func append(varint value: UInt64) {
    var rest = value
    while rest > 0x7F {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest &>>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }

  /// Appends a whole number that may be negative, as `int32` and `int64` have it.
  @inline(__always)
  mutating func append(varint value: Int64) { append(varint: UInt64(bitPattern: value)) }

  /// Appends what stands before a field's value.
  @inline(__always)
  mutating func append(field number: Int32, _ wire: UInt8) {
    append(varint: UInt64(UInt32(bitPattern: number)) &<< 3 | UInt64(wire))
  }

  /// Appends a text, or bytes, behind their number.
  @inline(__always)
  mutating func append(protobuf text: RawSpan) {
    append(varint: UInt64(text.byteCount))
    append(short: text)
  }

  /// Appends a field that is a text, and not on the row path.
  mutating func append(field number: Int32, text: String) {
    append(field: number, ProtobufWire.bytes)
    append(varint: UInt64(text.utf8.count))
    append(string: text)
  }

  /// Appends a field that is a whole number.
  @inline(__always)
  mutating func append(field number: Int32, value: Int64) {
    append(field: number, ProtobufWire.varint)
    append(varint: value)
  }

  /// Makes room for the length of what follows, and says where that begins.
  ///
  /// `room` is how many bytes the length mostly takes.
  @inline(__always)
  mutating func beginPart(room: Int = 1) -> Int {
    for _ in 0..<room { append(0 as UInt8) }
    return count
  }

  /// Writes the length of what was written since; what follows it is moved where the room is not
  /// what the length takes.
  @inline(__always)
  mutating func endPart(from start: Int, room: Int = 1) {
    let length = count &- start
    let bits = 64 &- UInt64(length | 1).leadingZeroBitCount
    let needed = (bits &+ 6) / 7
    if needed != room { move(from: start, by: needed &- room) }
    var rest = length
    for at in 0..<needed {
      let more: UInt8 = at &+ 1 < needed ? 0x80 : 0
      set(byte: UInt8(truncatingIfNeeded: rest & 0x7F) | more, at: start &- room &+ at)
      rest &>>= 7
    }
  }
}
