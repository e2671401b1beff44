import Support
import Testing

@testable import Streamer

/// The wall clock may jump, so nothing is decided by it: it is read only for what people and other
/// programs are shown.
@Suite struct WallClockTests {
  /// The files that read it, and what for.
  private static let readers = [
    "PGWire/Replication/ReplicationStream.swift":
      "the time in a status update, as the protocol wants",
    "Streamer/Observability/UTCTime.swift": "the one function, for logs and documents",
    "Streamer/Observability/PipelineObserver.swift": "the age of commits, never below zero",
    "Streamer/Observability/ReloadMetrics.swift": "a metric",
    "Streamer/Observability/ProcessMetrics.swift": "a metric",
    "Streamer/Observability/SourceStatus.swift": "since when a state holds",
    "Streamer/Observability/SinkStatus.swift": "since when a state holds",
    "Streamer/Observability/LaneStatus.swift": "since when a state holds",
    "Streamer/Observability/PipelineState.swift": "since when a state holds",
    "Streamer/Positions/Gap.swift": "when a gap was found",
    "Streamer/Sinks/Quarantine/QuarantineSink.swift": "since when a topic is held",
    "Streamer/Snapshot/CopyNotice.swift": "when something became of a copy",
    "Streamer/Recording/StreamRecorder.swift": "when a recording was made",
    "Streamer/Commands/Verify/VerifyResumption.swift": "when a part was compared",
    "Streamer/Positions/SourceMemory.swift": "since when a comparison is owed",
  ]

  private static let root = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")

  @Test func `Only what is shown reads it`() throws {
    let found = try Subprocess.check("find", ["\(Self.root)/Sources", "-name", "*.swift"])
    let files = found.split(separator: "\n").map(String.init)
    #expect(files.count > 300)
    for file in files {
      let text = String(decoding: try FileReading.read(file, limit: 1 << 20), as: UTF8.self)
      let reads = [
        "CLOCK_REALTIME", "UTCTime.now", ": UTCTime = .now", "SuspendingClock", "gettimeofday",
      ].filter(text.contains)
      let name = String(file.dropFirst("\(Self.root)/Sources/".count))
      if !reads.isEmpty {
        #expect(Self.readers[name] != nil, "\(name) reads the wall clock: \(reads)")
      }
    }
  }
}
