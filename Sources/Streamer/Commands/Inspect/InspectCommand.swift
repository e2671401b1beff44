import PGWire
import Recording

/// `inspect`: a recording as text, as counts, or as what two configurations make of it.
enum InspectCommand {
  /// Shows it; 1 when two configurations differ, else 0.
  static func run(_ options: CommandLineRequest.InspectOptions) throws(StreamerError) -> Int32 {
    switch options.view {
    case .messages: try showMessages(options)
    case .statistics: try showStatistics(options)
    case .difference(let a, let b, let source):
      return try showDifference(a, b, source: source, options)
    }
    return 0
  }

  private static func showMessages(
    _ options: CommandLineRequest.InspectOptions
  ) throws(StreamerError) {
    do throws(RecordingError) {
      var reader = try RecordingReader(opening: options.path)
      var trace = RecordingTrace()
      if let from = options.from { trace.from = from }
      if let to = options.to { trace.to = to }
      Terminal.print(RecordingTrace.lines(of: reader.header).joined(separator: "\n"))
      while let entry = try reader.next() {
        let lines = trace.lines(of: entry, reader.received)
        guard !lines.isEmpty else { continue }
        guard Terminal.put(lines.joined(separator: "\n") + "\n") else { return }
      }
      complain(reader.ending, options.path)
    } catch { throw StreamerError(error, recording: options.path) }
  }

  private static func showStatistics(
    _ options: CommandLineRequest.InspectOptions
  ) throws(StreamerError) {
    do throws(RecordingError) {
      var reader = try RecordingReader(opening: options.path)
      var statistics = RecordingStatistics()
      statistics.limit(from: options.from, to: options.to)
      while let entry = try reader.next() { statistics.add(entry, reader.received) }
      Terminal.print(
        statistics.text(reader.header, fileSize: reader.fileSize, TerminalStyle()))
      complain(reader.ending, options.path)
    } catch { throw StreamerError(error, recording: options.path) }
  }

  private static func showDifference(
    _ a: String, _ b: String, source: String?, _ options: CommandLineRequest.InspectOptions
  ) throws(StreamerError) -> Int32 {
    let configurations: [Configuration]
    do throws(ConfigurationErrors) {
      configurations = [
        try Configuration.loadUnconnected(path: a), try Configuration.loadUnconnected(path: b),
      ]
    } catch {
      error.complain()
      return error.exit.rawValue
    }
    var difference = try RecordingDifference(
      options.path, configurations[0], configurations[1], source: source)
    if let from = options.from { difference.from = from }
    if let to = options.to { difference.to = to }
    Terminal.print("--- \(a)\n+++ \(b)")
    var isRead = true
    try difference.run { line in
      if isRead { isRead = Terminal.put(line + "\n") }
    }
    let counts = difference.counts
    Terminal.complain(
      "\(counts.same) events are the same, \(counts.changed) differ, \(counts.removed) are only "
        + "in \(a), \(counts.added) only in \(b)")
    complain(difference.ending, options.path)
    return counts.changed + counts.removed + counts.added == 0 ? 0 : 1
  }

  private static func complain(_ ending: RecordingReader.Ending?, _ path: String) {
    guard case .cut(let offset) = ending else { return }
    Terminal.complain(
      "recording \(path): it is cut off: what follows offset \(offset) is no whole block, so this "
        + "is not all that was sent")
  }
}
