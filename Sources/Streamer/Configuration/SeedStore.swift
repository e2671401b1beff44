/// The position store of the Go program of the same name: a BoltDB file.
///
/// It is only recognized. Its first page is a meta page: a header of 16 bytes, then the magic
/// number 0xED0CDAED in the byte order of the machine that wrote it.
enum SeedStore {
  /// How to go on where the old program stopped.
  static let remedy =
    "To go on where it stopped, give store a new path and set walPositionOverride of the source to"
    + " \(lastPosition)."

  /// Where the old program's last position is to be found.
  static let lastPosition =
    "the old program's last walPosPersist, which its /stats and its last log lines show"

  /// Whether the file at `path` is a BoltDB; not when it is missing or cannot be read.
  static func isBoltDB(_ path: String, readFile: FileReader) -> Bool {
    guard let bytes = try? readFile(path, 20), bytes.count == 20 else { return false }
    let magic: [UInt8] = [0xED, 0xDA, 0x0C, 0xED]
    return Array(bytes[16...]) == magic || Array(bytes[16...]) == magic.reversed()
  }
}
