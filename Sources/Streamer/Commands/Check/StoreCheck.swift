/// Examines the position store, and reads what is in it.
enum StoreCheck {
  /// The stored positions by source; a store that does not exist yet has none.
  static func positions(
    of configuration: Configuration, _ report: inout CheckReport
  ) -> [String: [Position]] {
    guard let path = configuration.store else {
      if configuration.keepsPositionsInKafka {
        report.add(.init("file", "store kafka", .ok, "the sinks keep their positions in Kafka"))
      }
      return [:]
    }
    let target = "store \(path)"
    guard FileAccess.exists(path) else {
      let directory = FileAccess.directory(of: path)
      if let reason = FileAccess.whyNotWritable(directory) {
        report.add(
          .init(
            "file", target, .fail, "it cannot be created: \(directory): \(reason)",
            "Create the directory, writable for this user."))
      } else {
        report.add(.init("file", target, .ok, "does not exist yet; it will be created"))
      }
      return [:]
    }
    var positions: [String: [Position]] = [:]
    do throws(StreamerError) {
      let store = try SQLitePositionStore(path: path, readOnly: true)
      for source in configuration.sources {
        positions[source.name] = try store.load(source: source.name)
      }
      let all = positions.sorted { $0.key < $1.key }.flatMap(\.value)
      let list = all.map { "\($0.source) → \($0.sink) at \($0.lsn)" }.joined(separator: ", ")
      report.add(.init("file", target, .ok, list.isEmpty ? "holds no position yet" : list))
    } catch { report.add("file", target, error) }
    if let reason = FileAccess.whyNotWritable(path) {
      report.add(
        .init("file", target, .fail, "it cannot be written: \(reason)", "Change its owner or mode.")
      )
    }
    return positions
  }
}
