import KafkaBridge
import Synchronization

/// Log lines that threads of librdkafka wrote.
final class Lines: Sendable {
  private let lines = Mutex<[KafkaLogLine]>([])

  func append(_ line: KafkaLogLine) { lines.withLock { $0.append(line) } }

  func contains(where predicate: (KafkaLogLine) -> Bool) -> Bool {
    lines.withLock { $0.contains(where: predicate) }
  }
}
