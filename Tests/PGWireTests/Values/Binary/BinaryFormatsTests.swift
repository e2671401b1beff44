import Support
import Testing

@testable import PGWire

/// What needs no server: bytes at random, and types that cannot be read.
@Suite struct BinaryFormatsTests {
  /// Bytes that begin like counts and lengths do, so that they get far.
  private func bytes(_ random: inout SeededRandom) -> [UInt8] {
    (0..<Int.random(in: 0...48, using: &random)).map { _ in
      Int.random(in: 0..<3, using: &random) == 0
        ? UInt8.random(in: 0...255, using: &random)
        : [0, 0, 0, 1, 2, 4, 0xFF, 0x80, 23][Int.random(in: 0..<9, using: &random)]
    }
  }

  @Test func bytesAtRandomNeverTrap() {
    var random = SeededRandom("binary values")
    var output = ByteWriter()
    var read = 0
    for oid in BuiltinTypes.all.keys.sorted() {
      var formats = BinaryFormats(serverMajor: Int.random(in: 14...18, using: &random))
      guard let format = formats.resolve(oid, in: TypeCatalog()) else { continue }
      for _ in 0..<400 {
        let bytes = bytes(&random)
        output.removeAll()
        do throws(DecodingError) {
          try formats.appendText(of: unsafe bytes.span.bytes, as: format, to: &output)
          read += 1
        } catch {}
      }
    }
    #expect(read > 1000)
  }

  @Test func typesWhoseTextNeedsTheCatalogAreNotRead() {
    var formats = BinaryFormats(serverMajor: 18)
    var catalog = TypeCatalog()
    catalog.learn([
      TypeDescription(oid: 20_000, schema: "s", name: "raster", kind: .base(.userDefined)),
      TypeDescription(
        oid: 20_001, schema: "s", name: "seg", kind: .base(.userDefined), hasBinaryForm: false),
      TypeDescription(
        oid: 20_002, schema: "s", name: "_seg", kind: .array(element: 20_001, delimiter: 0x2C)),
      TypeDescription(
        oid: 20_003, schema: "s", name: "row",
        kind: .composite([.init(name: "a", type: 23), .init(name: "b", type: 2205)])),
    ])
    // regclass, raster, an array of what has no binary form, a row with a regclass, an unknown type.
    for oid in [2205, 20_000, 20_002, 20_003, 30_000] as [UInt32] {
      let format = formats.resolve(oid, in: catalog)
      #expect(format == nil)
    }
    // A type without a send function comes as text, which is no reason to refuse.
    for oid in [20_001, 1033] as [UInt32] {
      let rule = formats.resolve(oid, in: catalog)?.rule
      #expect(rule == .sentAsText)
    }
  }

  /// The array's element type and the row's attributes are on the wire: when they differ from the
  /// catalog's, it has changed.
  @Test func typesOnTheWireMustBeTheCatalogs() throws {
    var formats = BinaryFormats(serverMajor: 18)
    let resolved = formats.resolve(1007, in: TypeCatalog())
    let format = try #require(resolved)
    var array: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 1]
    array += [0, 0, 0, 4, 0, 0, 0, 7]
    var output = ByteWriter()
    try formats.appendText(of: unsafe array.span.bytes, as: format, to: &output)
    var text = output.bytes.text
    #expect(text == "{7}")
    array[11] = 20
    #expect(throws: DecodingError.self) {
      try formats.appendText(of: unsafe array.span.bytes, as: format, to: &output)
    }
    output.removeAll()
    array = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23]
    try formats.appendText(of: unsafe array.span.bytes, as: format, to: &output)
    text = output.bytes.text
    #expect(text == "{}")
  }
}
