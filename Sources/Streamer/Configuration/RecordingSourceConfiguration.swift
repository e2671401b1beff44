/// A `[source.NAME]` table with `type = "recording"`: what `record` wrote of another source.
struct RecordingSourceConfiguration: Hashable, Sendable {
  /// How fast a recording is read.
  enum Pace: String, CaseIterable, Sendable {
    /// As fast as the sinks take it.
    case full
    /// With the pauses that the server made.
    case recorded
  }

  /// The file.
  let path: String
  /// How fast it is read (full).
  let pace: Pace
}

extension RecordingSourceConfiguration {
  /// Reads the keys of this kind.
  init(in reader: inout ConfigurationReader) {
    path = reader.requiredString("path", expected: "a recording's path")
    pace = reader.choice("pace", default: Pace.full)
  }
}
