import PGWire

@testable import Streamer

/// The JSON of one value, given as PostgreSQL's text.
func json(
  _ text: String, _ oid: UInt32, _ options: ValueOptions = ValueOptions(),
  _ catalog: TypeCatalog = TypeCatalog()
) throws(DecodingError) -> String {
  var encoders = ValueEncoders(options: options)
  var scratch = ValueScratch()
  let encoder = encoders.resolve(oid, in: catalog)
  var output = ByteWriter(capacity: 1)
  let bytes = [UInt8](text.utf8)
  try encoders.encode(unsafe bytes.span.bytes, as: encoder, scratch: &scratch, into: &output)
  return output.bytes.text
}

/// What `write` appends.
func written(_ write: (inout ByteWriter) -> Void) -> String {
  var output = ByteWriter(capacity: 1)
  write(&output)
  return output.bytes.text
}
