import PGWire
import Testing

@testable import Streamer

/// What extensions and old servers print.
@Suite struct FloatAndVectorTests {
  /// 10 and 11 print with extra_float_digits = 3 all digits that they have (postgres-protocol.md §6).
  @Test(
    arguments: [
      (701, "0.300000000000000044", "0.30000000000000004"), (701, "0.100000000000000006", "0.1"),
      (700, "0.100000001", "0.1"), (700, "1.00000001e-07", "1e-07"), (701, "-0", "-0"),
      (701, "1.00000000000000002e+30", "1e+30"), (701, "NaN", "\"NaN\""),
      (701, "-Infinity", "\"-Infinity\""), (1022, "{0.100000000000000006,NULL}", "[0.1,null]"),
      (1021, "{3.40282347e+38}", "[3.4028235e+38]"), (701, "4.94065645841246544e-324", "5e-324"),
    ] as [(UInt32, String, String)])
  func oldServersFloatsAreTheShortest(_ oid: UInt32, _ text: String, _ expected: String) throws {
    var catalog = TypeCatalog()
    catalog.hasShortestFloats = false
    #expect(try json(text, oid, ValueOptions(), catalog) == expected)
  }

  @Test(
    arguments: [
      ("vector", "[1,2.5,-3e-05]", "[1,2.5,-3e-05]"), ("halfvec", "[]", "[]"),
      ("vector", "no vector", "\"no vector\""), ("vector", "[1,]", "\"[1,]\""),
      ("sparsevec", "{1:1.5,3:-2e-05}/5", #"{"dimensions":5,"values":{"1":1.5,"3":-2e-05}}"#),
      ("sparsevec", "{}/7", #"{"dimensions":7,"values":{}}"#),
      ("sparsevec", "{1:1.5", #""{1:1.5""#), ("sparsevec", "{1}/5", #""{1}/5""#),
      ("sparsevec", "{1:x}/5", #""{1:x}/5""#), ("sparsevec", "{}/", #""{}/""#),
      ("sparsevec", "}/5", #""}/5""#), ("sparsevec", "", "\"\""), ("sparsevec", "}", "\"}\""),
      ("cube", "(1, 2),(3, 4)", "\"(1, 2),(3, 4)\""), ("ltree", "a.b", "\"a.b\""),
    ])
  func extensionTypesAreKnownByName(_ name: String, _ text: String, _ expected: String) throws {
    var catalog = TypeCatalog()
    catalog.learn([
      TypeDescription(oid: 20_000, schema: "any", name: name, kind: .base(.userDefined))
    ])
    #expect(try json(text, 20_000, ValueOptions(), catalog) == expected)
  }
}
