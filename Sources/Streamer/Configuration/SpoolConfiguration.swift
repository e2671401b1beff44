/// The table `spool` of a PostgreSQL source: how open transactions are kept that come in chunks.
struct SpoolConfiguration: Hashable, Sendable {
  /// Where files are made; `nil` for the folder of `store`.
  var directory: String?
  /// How much is kept in memory, over all open transactions (4MiB).
  var memory = ByteSize.mebibytes(4)
  /// How much is kept in files; `nil` for half of what is free on the disk.
  var limit: ByteSize?

  /// What a pipeline does with it; `store` is the position store's file, if there is one.
  func settings(store: String?) -> Spool.Settings {
    Spool.Settings(
      directory: directory ?? store.map { FileAccess.directory(of: $0) } ?? "/var/tmp",
      memory: memory.bytes, limit: limit?.bytes)
  }
}

extension ConfigurationReader {
  /// Reads the table `spool`.
  mutating func spool() -> SpoolConfiguration {
    var spool = SpoolConfiguration()
    guard var section = section("spool", subject: "the spool") else { return spool }
    if let text = section.text("dir", expected: "a directory") {
      spool.directory = text.value
      if text.value.isEmpty {
        section.fail("dir", at: text.position, found: text.shown, expected: "a directory")
      }
    }
    spool.memory = section.size("memory", default: spool.memory)
    if section.has("limit") { spool.limit = section.size("limit", default: ByteSize(0)) }
    section.finish()
    absorb(section)
    return spool
  }
}
