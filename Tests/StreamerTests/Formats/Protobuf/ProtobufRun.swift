import PGWire
import Support
import Testing

@testable import Streamer

/// Records in Protobuf, fed as ``AvroRun`` feeds them.
struct ProtobufRun {
  /// A sink whose values are Debezium's, or rows.
  static func setup(
    _ style: SchemaStyle = .debezium, isRowAlone: Bool = false,
    _ change: (inout LaneSetup) -> Void = { _ in }
  ) -> LaneSetup {
    AvroRun.setup(style, isRowAlone: isRowAlone) {
      $0.format = .protobuf
      $0.key = .protobuf
      change(&$0)
    }
  }

  /// What stands behind the frame of a key or value, which has to be that of `schema`'s first message.
  static func body(_ bytes: [UInt8]?, schema: UInt8) throws -> [UInt8] {
    let bytes = try AvroRun.body(bytes, schema: schema)
    #expect(bytes.first == 0)
    return Array(bytes.dropFirst())
  }
}
