import CRdKafka
import Glibc
import Synchronization

/// What brokers answer to records that librdkafka goes on sending by itself.
///
/// A topic with too few replicas in sync, a leader whose disk has failed: librdkafka tries such
/// records again for ever and tells nobody but its own log, at the level of `debug=msg`. Those lines
/// come here, so that an operator sees the broker's own code and not only that nothing moves.
final class BrokerRefusals: Sendable {
  /// How long a refusal must last before it counts: a leader that moves refuses for a moment.
  static let patience = Duration.seconds(1)
  /// After how long without another one a refusal is over.
  static let memory = Duration.seconds(5)

  private struct Refusal {
    let code: rd_kafka_resp_err_t
    let partition: String
    let since: ContinuousClock.Instant
    var last: ContinuousClock.Instant
  }

  private let refusal = Mutex<Refusal?>(nil)

  /// Takes a line of librdkafka's log, on one of its threads.
  func take(facility: UnsafePointer<CChar>?, text: UnsafePointer<CChar>?) {
    guard let facility = unsafe facility, let text = unsafe text else { return }
    // SAFETY: both are zero-terminated for the call. Most lines end here, without a string.
    guard unsafe strcmp(facility, "MSGSET") == 0, unsafe strstr(text, Self.marker) != nil else {
      return
    }
    note(unsafe String(cString: text), now: .now)
  }

  /// Reads a line like "[thrd:…]: HOST/1: orders [0]: MessageSet with 1 message(s) (MsgId 1, BaseSeq
  /// 0) encountered error: Broker: Not enough in-sync replicas (actions Retry)".
  func note(_ line: String, now: ContinuousClock.Instant) {
    guard let marker = line.firstRange(of: Self.marker),
      let end = line[marker.upperBound...].firstRange(of: " (actions"),
      let code = Self.codes[String(line[marker.upperBound..<end.lowerBound])]
    else { return }
    let before = line[..<marker.lowerBound].firstRange(of: ": MessageSet with")
    let head = line[..<(before?.lowerBound ?? line.startIndex)]
    let start = head.ranges(of: ": ").last?.upperBound ?? head.startIndex
    let partition = String(head[start...])
    refusal.withLock { refusal in
      if let known = refusal, known.code == code, now - known.last < Self.memory {
        refusal?.last = now
      } else {
        refusal = Refusal(code: code, partition: partition, since: now, last: now)
      }
    }
  }

  /// What brokers refuse at the moment, for more than an instant; nil when they refuse nothing.
  func current(now: ContinuousClock.Instant) -> KafkaError? {
    let refusal = refusal.withLock { $0 }
    guard let refusal, now - refusal.last < Self.memory,
      refusal.last - refusal.since >= Self.patience
    else { return nil }
    return KafkaError(refusal.code, operation: "produce to topic \(refusal.partition)")
  }

  private static let marker = "encountered error: "

  /// librdkafka's words for each code, which is all that its log has.
  private static let codes: [String: rd_kafka_resp_err_t] = {
    var table: UnsafePointer<rd_kafka_err_desc>?
    var count = 0
    unsafe rd_kafka_get_err_descs(&table, &count)
    var codes: [String: rd_kafka_resp_err_t] = [:]
    guard let table = unsafe table else { return codes }
    for index in 0..<count {
      // SAFETY: a static table of that many entries, with gaps.
      let entry = unsafe table[index]
      guard let words = unsafe entry.desc else { continue }
      unsafe codes[String(cString: words)] = entry.code
    }
    return codes
  }()
}
