/// By which rule the binary form of one type becomes the text that the server itself would print.
///
/// A trivial value, like the encoder of a column; what a nested type refers to stands in the
/// ``BinaryFormats`` that made it.
public struct BinaryFormat: Hashable, Sendable, BitwiseCopyable {
  enum Rule: UInt8, Sendable {
    /// The binary form is the text.
    case text
    /// A type without a send function: the server sends its text even when binary is asked for.
    case sentAsText
    case boolean, int2, int4, int8
    /// `oid`, `xid`, `cid`.
    case unsigned4
    /// `xid8`.
    case unsigned8
    case tupleIdentifier
    case float4, float8, numeric, money
    case character, bytea, uuid
    case date, time, timeWithZone, timestamp, timestampWithZone, interval
    /// A byte with a version, then the text: `jsonb`, `jsonpath`, `ltree`.
    case versionedText
    case bit, network, macaddr, macaddr8
    case point, segment, path, box, polygon, line, circle
    case logPosition, snapshot, textVector, textQuery
    case hstore, vector, halfVector, sparseVector, cube
    /// PostGIS: the bytes in hexadecimal digits are the text.
    case geometry
    /// `int2vector`, `oidvector`: an array in another dress.
    case spaced
    case array, composite, range, multirange
  }

  let rule: Rule
  /// Where the nested type's details stand.
  let index: UInt32

  init(_ rule: Rule, index: UInt32 = 0) {
    self.rule = rule
    self.index = index
  }
}
