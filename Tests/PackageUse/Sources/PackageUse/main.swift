// Reads two messages of a replication stream with PGWire alone, as another program would; with a
// connection string as its argument it asks that server for its version as well.
import Glibc
import PGWire

/// Says what is wrong and ends the program.
func fail(_ what: String) -> Never {
  print("package-use: \(what)")
  exit(1)
}

/// Relation 16384, public.t (id integer), as pgoutput sends it.
let relation: [UInt8] =
  [UInt8(ascii: "R"), 0, 0, 0x40, 0] + Array("public\0t\0d".utf8) + [0, 1, 1]
  + Array("id\0".utf8) + [0, 0, 0, 23, 0xFF, 0xFF, 0xFF, 0xFF]
/// The row (7) in it.
let insert: [UInt8] =
  [UInt8(ascii: "I"), 0, 0, 0x40, 0, UInt8(ascii: "N"), 0, 1, UInt8(ascii: "t"), 0, 0, 0, 1]
  + Array("7".utf8)

var decoder = PgOutputDecoder()
_ = try decoder.decode(unsafe relation.span.bytes)
guard case .change(let change) = try decoder.decode(unsafe insert.span.bytes) else {
  fail("an insert was decoded as something else than a change")
}
var columns = change.new.columns
guard case .text(let value) = columns.next(), value.text == "7" else {
  fail("the row's value is not 7")
}
print("decoded: \(value.text)")

if CommandLine.arguments.count > 1 {
  var connection = try Connection.open(
    ConnectionParameters(ConnectionString(CommandLine.arguments[1])))
  print("connected: PostgreSQL \(connection.serverVersion)")
  print(try connection.query("SELECT 1 AS one").first?[first: "one"] ?? "nothing")
  connection.close()
}
