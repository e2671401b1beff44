/// Whether the service does its work, and if not, why: what `/ready` answers.
struct Readiness: Sendable {
  /// How long records may wait without one being delivered.
  static let patience = Limits.readyPatience
  /// How long the server may be silent: it is asked for a sign of life after ten seconds.
  static let silence = Limits.readySilence

  /// What stands against it, one clause for each fault; empty when the service is ready.
  private(set) var reasons: [String] = []
  /// Whether the service is ready.
  var isReady: Bool { reasons.isEmpty }

  /// Judges the sources and sinks as they are at `now`.
  ///
  /// A pipeline that waits for its sink is ready, as long as the sink delivers something. One that
  /// waits for the slot is ready only with `readyWhenStandby`.
  init(
    sources: [SourceStatus], sinks: [SinkStatus], now: ContinuousClock.Instant,
    readyWhenStandby: Bool = false
  ) {
    for source in sources {
      let state = source.state.state
      switch state {
      case .standby where readyWhenStandby: continue
      case .streaming, .backpressured, .snapshot: judge(source, now)
      case .starting, .standby, .paused, .retrying, .stopped, .failed:
        reasons.append("source \"\(source.name)\" is \(state.rawValue)")
      }
    }
    for sink in sinks {
      let state = sink.state.state
      if state.isTrouble {
        reasons.append("sink \"\(sink.name)\" is \(state.rawValue)")
      } else {
        judge(sink, now)
      }
    }
  }

  private mutating func judge(_ source: SourceStatus, _ now: ContinuousClock.Instant) {
    if source.cannotSave { reasons.append("source \"\(source.name)\" cannot save its position") }
    // Others have no connection that could be silent: librdkafka looks after its own.
    guard source.type == "postgres" else { return }
    guard let heard = source.lastHeard else {
      return reasons.append("source \"\(source.name)\" has not heard the server yet")
    }
    if now - heard > Self.silence {
      let age = (now - heard).components.seconds
      reasons.append("source \"\(source.name)\" has not heard the server for \(age) s")
    } else if let since = source.invisibleSince, now - since > Self.patience {
      let age = (now - since).components.seconds
      reasons.append(
        "source \"\(source.name)\" waits for a transaction to be visible on the primary for "
          + "\(age) s")
    } else if let since = source.heartbeatAwaitedSince, now - since > Self.patience {
      let age = (now - since).components.seconds
      reasons.append(
        "source \"\(source.name)\" waits for its heartbeat, and nothing has moved for \(age) s")
    }
  }

  private mutating func judge(_ sink: SinkStatus, _ now: ContinuousClock.Instant) {
    for lane in sink.lanes {
      guard let since = lane.waitingSince, now - since > Self.patience else { continue }
      reasons.append(
        "sink \"\(sink.name)\" has delivered nothing of source \"\(lane.source)\" for "
          + "\((now - since).components.seconds) s, although records wait")
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
