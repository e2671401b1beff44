import PGWire
import Support
import Testing

@testable import Streamer

/// Values that the server did not send are absent, whatever stands in their place on the wire.
@Suite struct UnsentValuesTests {
  private static func table(_ identity: Relation.ReplicaIdentity) -> Relation {
    Relation(
      oid: 16_384, schema: "public", name: "r", replicaIdentity: identity,
      columns: ["id", "a", "b"].map {
        Relation.Column(name: $0, isKey: identity == .full || $0 == "id", type: 25)
      })
  }

  private func events(
    _ identity: Relation.ReplicaIdentity, key: [String] = [], _ payloads: [UInt8]...
  ) throws -> [String] {
    let pipeline = CapturingPipeline()
    pipeline.catalogKey = key
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table(identity))
      for payload in payloads { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120))
    }
    return pipeline.events
  }

  private static let partial = ["id", Table.partialOldRows]
  private static let changes = [
    ServerBytes.update(
      16_384, old: (.full, [.text("1"), .null, .null]), [.text("2"), .unchanged, .null]),
    ServerBytes.delete(16_384, .full, [.text("2"), .text("x"), .null]),
  ]

  @Test("B7 nulls in the old row of a partition with an identity of its own")
  func partialOldRows() throws {
    #expect(
      try events(.full, key: Self.partial, Self.changes[0], Self.changes[1]) == [
        #"delete {"id":"1"} 0,"Key":{"id":"1"},"Old":{"id":"1"}"#,
        #"insert {"id":"2","b":null} 1,"Key":{"id":"2"},"Old":{"id":"1"},"Unchanged":["a"]"#,
        #"delete {"id":"2","a":"x"} 2,"Key":{"id":"2"},"Old":{"id":"2","a":"x"}"#,
      ])
    #expect(
      try events(.full, key: ["id"], Self.changes[1]) == [
        #"delete {"id":"2","a":"x","b":null} 0,"Key":{"id":"2"},"Old":{"id":"2","a":"x","b":null}"#
      ], "a null of a whole row is a value")
  }

  @Test("B7 a key that the partition's identity does not send is none, and has not changed")
  func otherIdentityOfPartition() throws {
    for (identity, image) in [(.full, .full), (.index, .key)]
      as [(Relation.ReplicaIdentity, ServerBytes.Image)]
    {
      let events = try events(
        identity, key: Self.partial,
        ServerBytes.update(
          16_384, old: (image, [.null, .text("u"), .null]), [.text("1"), .text("v"), .null]),
        ServerBytes.delete(16_384, image, [.null, .text("v"), .null]))
      let old = identity == .full ? [#"{"a":"u"}"#, #"{"a":"v"}"#] : ["{}", "{}"]
      #expect(
        events == [
          #"update {"id":"1","a":"v","b":null} 0,"Key":{"id":"1"},"Old":"# + old[0],
          "delete \(old[1]) 1,\"Key\":null,\"Old\":\(old[1])",
        ])
    }
  }

  @Test("a TOASTed column of the key that was not sent leaves no key, never a null in it")
  func unsentKey() throws {
    #expect(
      try events(.primaryKey, ServerBytes.update(16_384, [.unchanged, .text("v"), .null])) == [
        #"update {"a":"v","b":null} 0,"Key":null,"Unchanged":["id"]"#
      ])
  }

  @Test(
    "B10 a key of which a part is not published is none",
    arguments: [
      Relation.ReplicaIdentity.primaryKey, .index,
    ])
  func unpublishedPartOfKey(identity: Relation.ReplicaIdentity) throws {
    let insert = ServerBytes.insert(16_384, [.text("1"), .text("v"), .null])
    // What was sent of the identity is told nevertheless.
    #expect(
      try events(
        identity, key: [Table.unsentKey],
        ServerBytes.update(
          16_384, old: (.key, [.text("1"), .null, .null]), [.text("2"), .text("v"), .null]),
        ServerBytes.delete(16_384, .key, [.text("2"), .null, .null])) == [
          #"update {"id":"2","a":"v","b":null} 0,"Key":null,"Old":{"id":"1"}"#,
          #"delete {"id":"2"} 1,"Key":null,"Old":{"id":"2"}"#,
        ])
    #expect(
      try events(identity, key: [Table.unsentKey], insert) == [
        #"insert {"id":"1","a":"v","b":null} 0,"Key":null"#
      ])
    #expect(
      try events(identity, insert) == [
        #"insert {"id":"1","a":"v","b":null} 0,"Key":{"id":"1"}"#
      ])
  }

  @Test("B13 an insert that lacks a value leads to the old key")
  func changedKeyWithUnchangedValue() throws {
    let old: (image: ServerBytes.Image, cells: [ServerBytes.Cell]) =
      (.key, [.text("1"), .null, .null])
    #expect(
      try events(
        .primaryKey, ServerBytes.update(16_384, old: old, [.text("2"), .unchanged, .null]),
        ServerBytes.update(16_384, old: old, [.text("2"), .text("v"), .null])) == [
          #"delete {"id":"1"} 0,"Key":{"id":"1"},"Old":{"id":"1"}"#,
          #"insert {"id":"2","b":null} 1,"Key":{"id":"2"},"Old":{"id":"1"},"Unchanged":["a"]"#,
          #"delete {"id":"1"} 2,"Key":{"id":"1"},"Old":{"id":"1"}"#,
          #"insert {"id":"2","a":"v","b":null} 3,"Key":{"id":"2"}"#,
        ])
  }
}
