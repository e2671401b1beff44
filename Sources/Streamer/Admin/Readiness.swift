/// Whether the service does its work, and if not, why: what `/ready` answers.
struct Readiness: Sendable {
  /// How old the server's last answer, and the oldest record in flight, may be.
  static let patience = Duration.seconds(30)

  /// What stands against it, one clause for each fault; empty when the service is ready.
  private(set) var reasons: [String] = []
  /// Whether the service is ready.
  var isReady: Bool { reasons.isEmpty }

  /// Judges the sources and sinks as they are at `now`.
  ///
  /// A pipeline that waits for its sink is ready, as long as no record waits too long.
  init(sources: [SourceStatus], sinks: [SinkStatus], now: ContinuousClock.Instant) {
    for source in sources {
      let state = source.state.state
      switch state {
      case .standby, .snapshot: continue
      case .streaming, .backpressured: judge(source, now)
      case .starting, .paused, .retrying, .stopped, .failed:
        reasons.append("source \"\(source.name)\" is \(state.rawValue)")
      }
    }
    for sink in sinks where sink.state.state.isTrouble {
      reasons.append("sink \"\(sink.name)\" is \(sink.state.state.rawValue)")
    }
  }

  private mutating func judge(_ source: SourceStatus, _ now: ContinuousClock.Instant) {
    // A Kafka source sends no status updates.
    if source.type == "postgres" {
      if let probe = source.lastProbe, now - probe > Self.patience {
        reasons.append(
          "source \"\(source.name)\" has had no answer for \((now - probe).components.seconds) s")
      } else if source.lastProbe == nil {
        reasons.append("source \"\(source.name)\" has had no answer yet")
      }
    }
    if let oldest = source.oldestOutstanding, now - oldest > Self.patience {
      let age = (now - oldest).components.seconds
      reasons.append(
        "source \"\(source.name)\" has a record undelivered for \(age) s"
      )
    }
  }

  /// `{"ready":true,"reasons":[]}`.
  var json: [UInt8] {
    var json = JSONText()
    json.object { json in
      json.key("ready")
      json.value(isReady)
      json.key("reasons")
      json.array { json in for reason in reasons { json.value(reason) } }
    }
    return json.bytes
  }
}
