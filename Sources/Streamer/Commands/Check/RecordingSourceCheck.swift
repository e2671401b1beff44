import Recording

/// Examines a recording that is read in the place of a server.
struct RecordingSourceCheck {
  let name: String
  let source: RecordingSourceConfiguration

  /// Opens the file and reads its header.
  func run(_ report: inout CheckReport) {
    do throws(RecordingError) {
      let reader = try RecordingReader(opening: source.path)
      let from = "database \(reader.header.database), slot \(reader.header.slot)"
      report.add(.init("recording", "source \(name)", .ok, "\(source.path): \(from)"))
    } catch {
      report.add("recording", "source \(name)", StreamerError(error, recording: source.path))
    }
  }
}
