import Foundation
import PGWire
import Testing

@testable import Streamer

/// How fast values become JSON; printed, never judged. Run in release:
///
///     PSQL_STREAMER_BENCHMARK=1 swift test -c release -Xswiftc -enable-testing \
///       --disable-xctest --filter EncodingBenchmark
@Suite(
  .enabled(
    if: ProcessInfo.processInfo.environment["PSQL_STREAMER_BENCHMARK"] != nil,
    "set PSQL_STREAMER_BENCHMARK=1 to measure"), .serialized)
struct EncodingBenchmark {
  private func seconds(_ body: () throws -> Void) rethrows -> Double {
    // The best of five: the machine may be busy with something else.
    var best = Double.infinity
    for _ in 0..<5 {
      let start = ContinuousClock.now
      try body()
      let spent = start.duration(to: .now).components
      best = min(best, Double(spent.seconds) + Double(spent.attoseconds) / 1e18)
    }
    return best
  }

  private func report(_ what: String, bytes: Int, seconds: Double) {
    print(what, String(format: "%.2f GB/s", Double(bytes) / seconds / 1e9))
  }

  @Test func escape() {
    let every40 = (0..<400).map { $0 % 40 == 39 ? UInt8(0x22) : UInt8(0x61) }
    let texts: [(String, [UInt8])] = [
      ("5 B", Array("hello".utf8)), ("24 B", [UInt8](repeating: 0x61, count: 24)),
      ("400 B", [UInt8](repeating: 0x61, count: 400)), ("400 B, 1 in 40", every40),
      ("1 MiB", [UInt8](repeating: 0x61, count: 1 << 20)),
    ]
    for (name, text) in texts {
      let rounds = (256 << 20) / text.count
      var json = ByteWriter(capacity: 8 << 20)
      let spent = seconds {
        for _ in 0..<rounds {
          if json.count > 1 << 20 { json.removeAll() }
          JSONEscape.append(unsafe text.span.bytes, to: &json)
        }
      }
      report("escape \(name):", bytes: rounds * text.count, seconds: spent)
    }
  }

  @Test func bytea() throws {
    let text = Array((#"\x"# + String(repeating: "00ff7f80", count: 1000)).utf8)
    var json = ByteWriter(capacity: 8 << 20)
    let spent = try seconds {
      for _ in 0..<10_000 {
        json.removeAll()
        try Base64.append(hex: unsafe text.span.bytes, to: &json)
      }
    }
    report("bytea to base64 (of its text):", bytes: 10_000 * text.count, seconds: spent)
  }

  /// The table of docs: (id bigint, a int, b text, c numeric, d timestamptz, e boolean, f jsonb).
  @Test func row() throws {
    let columns: [(UInt32, String, String)] = [
      (20, "id", "1234567"), (23, "a", "42017"),
      (25, "b", "The quick brown fox jumps over the lazy dog"), (1700, "c", "12345.67"),
      (1184, "d", "2026-11-23 08:15:50.123456+00"), (16, "e", "t"),
      (3802, "f", #"{"k": "value 1234567", "n": 1234567}"#),
    ]
    var encoders = ValueEncoders(options: ValueOptions())
    var scratch = ValueScratch()
    var format = NativeEnvelope(
      host: "127.0.0.1", database: "shop", schema: "public", table: "orders")
    var state = EncodingState()
    let plan = columns.map { (encoders.resolve($0.0, in: TypeCatalog()), format.name($0.1)) }
    let texts = columns.map { Array($0.2.utf8) }
    NativeEnvelope.begin(
      commitLSN: LSN(26_843_976), commitTime: 848_736_950_123_456, xid: 745,
      uuid: EventUUID(
        systemIdentifier: 1, database: "shop", xid: 745, commitTime: 1, commitLSN: LSN(2)), &state)
    var json = ByteWriter(capacity: 8 << 20)
    let rounds = 1_000_000
    var written = 0
    for whole in [false, true] {
      written = 0
      let spent = try seconds {
        for ordinal in 0..<UInt64(rounds) {
          if json.count > 1 << 20 { json.removeAll() }
          let start = json.count
          if whole { format.appendHead(state, .insert, ordinal: ordinal, to: &json) }
          json.append(0x7B as UInt8)
          for index in 0..<plan.count {
            format.append(plan[index].1, isFirst: index == 0, to: &json)
            let text = texts[index]
            try encoders.encode(
              unsafe text.span.bytes, as: plan[index].0, scratch: &scratch, into: &json)
          }
          json.append(0x7D as UInt8)
          if whole {
            format.appendTail(
              state, lsn: LSN(26_843_680 + ordinal), ordinal: ordinal, to: &json)
            NativeEnvelope.appendEnd(to: &json)
          }
          written += json.count - start
        }
      }
      print(
        whole ? "whole event:" : "columns only:",
        String(format: "%.2f M rows/s, ", Double(rounds) / spent / 1e6), terminator: "")
      report("JSON at", bytes: written / 5, seconds: spent)
    }
  }

  @Test func nested() throws {
    var catalog = TypeCatalog()
    catalog.learn([
      TypeDescription(
        oid: 20000, schema: "s", name: "pair",
        kind: .composite([.init(name: "a", type: 23), .init(name: "b", type: 25)])),
      TypeDescription(oid: 20001, schema: "s", name: "hstore", kind: .base(.userDefined)),
    ])
    let values: [(String, UInt32, String)] = [
      ("int[10]:", 1007, "{1,22,333,4444,55555,666666,7777777,88888888,999999999,0}"),
      ("text[4], plain:", 1009, "{hello,world,\"with space\",NULL}"),
      ("text[4], escaped:", 1009, #"{"a \"b\"","c\\d","",NULL}"#),
      ("row:", 20000, #"(17,"a ""b"" c")"#), ("int4range:", 3904, "[1,100)"),
      ("hstore:", 20001, #""color"=>"red", "size"=>"12", "none"=>NULL"#),
    ]
    for (name, oid, text) in values {
      var encoders = ValueEncoders(options: ValueOptions())
      var scratch = ValueScratch()
      let encoder = encoders.resolve(oid, in: catalog)
      let bytes = Array(text.utf8)
      var json = ByteWriter(capacity: 8 << 20)
      let spent = try seconds {
        for _ in 0..<1_000_000 {
          if json.count > 1 << 20 { json.removeAll() }
          try encoders.encode(unsafe bytes.span.bytes, as: encoder, scratch: &scratch, into: &json)
        }
      }
      print(name, String(format: "%.0f ns", spent * 1e3))
    }
  }
}
