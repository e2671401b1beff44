@testable import PGWire

/// A row image read by hand from plain arrays, without spans: what ``TupleData`` must agree with.
struct TupleModel: Hashable {
  enum Cell: Hashable {
    case null
    case unchanged
    case text([UInt8])
    case binary([UInt8])
  }

  private(set) var cells: [Cell] = []

  /// Reads an image at `offset` and moves it behind; nil when the bytes hold none.
  init?(_ bytes: [UInt8], at offset: inout Int) {
    guard let count = Self.integer(bytes, at: &offset, size: 2), count < 0x8000 else { return nil }
    for _ in 0..<count {
      guard offset < bytes.count else { return nil }
      let kind = bytes[offset]
      offset += 1
      switch kind {
      case UInt8(ascii: "n"): cells.append(.null)
      case UInt8(ascii: "u"): cells.append(.unchanged)
      case UInt8(ascii: "t"), UInt8(ascii: "b"):
        guard let length = Self.integer(bytes, at: &offset, size: 4),
          length <= bytes.count - offset
        else { return nil }
        let value = Array(bytes[offset..<offset + length])
        offset += length
        cells.append(kind == UInt8(ascii: "t") ? .text(value) : .binary(value))
      default: return nil
      }
    }
  }

  /// Takes an image as its cursor walks it, and checks that each column found alone is the same.
  init?(walking tuple: borrowing TupleData) {
    var cursor = tuple.columns
    for index in 0..<tuple.count {
      let cell = Self.cell(cursor.next())
      guard cell == Self.cell(tuple.value(at: index)) else { return nil }
      cells.append(cell)
    }
  }

  private static func cell(_ value: borrowing ColumnValue) -> Cell {
    switch value {
    case .null: .null
    case .unchangedToast: .unchanged
    case .text(let bytes): .text((0..<bytes.byteCount).map { bytes[$0] })
    case .binary(let bytes): .binary((0..<bytes.byteCount).map { bytes[$0] })
    }
  }

  private static func integer(_ bytes: [UInt8], at offset: inout Int, size: Int) -> Int? {
    guard bytes.count - offset >= size else { return nil }
    defer { offset += size }
    return bytes[offset..<offset + size].reduce(0) { $0 << 8 | Int($1) }
  }
}

/// The images of one Insert, Update or Delete, old ones first.
struct ChangeModel: Hashable {
  private(set) var images: [TupleModel] = []

  /// Reads a whole message by hand; nil when it is no such message.
  init?(_ payload: [UInt8]) {
    guard let tag = payload.first, "IUD".utf8.contains(tag) else { return nil }
    var offset = 5
    while offset < payload.count {
      guard "KON".utf8.contains(payload[offset]) else { return nil }
      offset += 1
      guard let image = TupleModel(payload, at: &offset) else { return nil }
      images.append(image)
    }
  }

  /// Takes the images as the decoder gives them; nil when its two ways of walking disagree.
  init?(_ change: borrowing Change) {
    if change.oldImage != .none {
      guard let old = TupleModel(walking: change.old) else { return nil }
      images.append(old)
    }
    if change.kind != .delete {
      guard let new = TupleModel(walking: change.new) else { return nil }
      images.append(new)
    }
  }
}
