import Glibc
import KafkaBridge
import Synchronization

// SAFETY: whoever enters and leaves does so on the source's I/O worker; slots, receipts and refusals
// are the pipeline thread's from the first record to the last. Both count and fail by the mutex.

/// A producer and the sinks of one source that write with it; they stand and fall together.
///
/// Sinks with the same brokers and the same properties need one client with its threads and connections, not one
/// each. What ends the producer ends it for all of them: none may go on beside a fresh one that sends
/// the same records again.
final class SharedProducer: @unchecked Sendable {
  /// What has arrived for one of the sinks.
  final class Member {
    /// Readable when there is something to poll; its own, since an epoll set takes a descriptor once.
    let eventDescriptor: CInt
    /// What was delivered and has not been taken.
    fileprivate(set) var receipts: [DeliveryReceipt] = []
    /// What was not delivered and has not been taken.
    fileprivate(set) var refused: [DeliveryReport] = []
    /// The number under which the producer knows each strand of the sink's lane.
    fileprivate var slots: [Int: Int] = [:]
    /// The one that was asked for last, as a lane mostly asks for the same.
    fileprivate var last = (strand: -1, slot: 0)

    fileprivate init(of producer: Producer) {
      eventDescriptor = fcntl(producer.eventDescriptor, F_DUPFD_CLOEXEC, 0)
      precondition(eventDescriptor >= 0, "the process has no descriptor left for a sink")
    }

    deinit { _ = Glibc.close(eventDescriptor) }

    /// Forgets what has been taken.
    func clear() {
      receipts.removeAll(keepingCapacity: true)
      refused.removeAll()
    }
  }

  private struct State {
    var members = 0
    var failed: String?
  }

  /// The producer; it lives until the last sink leaves.
  let producer: Producer
  private let key: Key
  private let state = Mutex(State())
  /// Whose records a number stands for, and of which strand; none is used twice.
  private var slots: [(member: Member, strand: Int)] = []
  /// What a record carries: the transaction's number in these bits, and above them whose it is.
  ///
  /// 2^44 transactions take eleven years at fifty thousand a second; the rest tells a million strands
  /// apart.
  private static let numberBits = 44
  /// How many errors the producer has reported, and the last one.
  private(set) var errors: (count: Int, last: KafkaError?) = (0, nil)

  /// What sinks must have in common.
  struct Key: Hashable {
    private let properties: [KafkaConfiguration.Property]
    private let allowLoss: Bool

    /// What matters of a producer's configuration.
    init(_ configuration: KafkaConfiguration) {
      properties = configuration.defaults + configuration.properties
      allowLoss = configuration.allowLoss
    }
  }

  fileprivate init(_ producer: Producer, _ key: Key) {
    self.producer = producer
    self.key = key
  }

  /// The name of the sink whose failure ended the producer; nil while it may be used.
  var failed: String? { state.withLock { $0.failed } }

  /// The producer is not used any more by anyone.
  func fail(by sink: String) { state.withLock { $0.failed = $0.failed ?? sink } }
}

// On the I/O worker.
extension SharedProducer {
  /// A sink begins to use it, unless it has failed or is closed; `member` is what arrives for it.
  fileprivate func enter(_ key: Key, isFirst: Bool = false) -> Member? {
    guard key == self.key else { return nil }
    let isIn = state.withLock { state in
      guard state.failed == nil, isFirst || state.members > 0 else { return false }
      state.members += 1
      return true
    }
    return isIn ? Member(of: producer) : nil
  }

  /// A sink uses it no more: the last one gives up, within `timeout`, what is not delivered by now.
  func leave(within timeout: Duration) {
    let isLast = state.withLock { state in
      state.members -= 1
      return state.members == 0
    }
    guard isLast else { return }
    slots = []
    producer.close(timeout: timeout)
  }
}

// On the pipeline's thread.
extension SharedProducer {
  /// What stands for a ticket of the member's lane while the record is under way.
  func opaque(_ ticket: UInt64, of member: Member) -> UInt {
    let (strand, number) = StrandTicket.parts(of: ticket)
    if member.last.strand != strand { member.last = (strand, slot(strand, of: member)) }
    return UInt(member.last.slot) << Self.numberBits | UInt(number)
  }

  private func slot(_ strand: Int, of member: Member) -> Int {
    if let slot = member.slots[strand] { return slot }
    precondition(slots.count < 1 << (64 - Self.numberBits), "too many strands for one producer")
    slots.append((member, strand))
    member.slots[strand] = slots.count - 1
    return slots.count - 1
  }

  /// Takes all reports that there are and hands each to the sink whose record it is of.
  func poll() {
    producer.poll { take($0) }
    guard let error = producer.takeError() else { return }
    errors = (errors.count + 1, error)
  }

  /// Takes one report.
  func take(_ report: DeliveryReport) {
    let (member, strand) = slots[Int(report.opaque >> Self.numberBits)]
    guard report.error == nil else { return member.refused.append(report) }
    let number = UInt64(report.opaque) & (1 << Self.numberBits - 1)
    let ticket = StrandTicket.make(strand: strand, number: number)
    // Reports come by partition, so neighbours often belong to one transaction.
    if let last = member.receipts.indices.last, member.receipts[last].ticket == ticket {
      member.receipts[last].count += 1
      member.receipts[last].bytes += report.byteCount
    } else {
      member.receipts.append(
        DeliveryReceipt(ticket: ticket, count: 1, bytes: report.byteCount))
    }
  }
}

/// The producers of one source, for its sinks.
final class ProducerPool: Sendable {
  private let producers = Mutex<[SharedProducer]>([])

  /// Gives a sink the producer that others with its properties use, or one that `connect` has made
  /// sure of.
  func join(
    _ properties: KafkaConfiguration, _ connect: (Producer) throws(KafkaError) -> Void
  ) throws(KafkaError) -> (SharedProducer, SharedProducer.Member) {
    let key = SharedProducer.Key(properties)
    for there in producers.withLock({ $0 }) {
      if let member = there.enter(key) { return (there, member) }
    }
    let producer = try Producer(configuration: properties)
    do throws(KafkaError) { try connect(producer) } catch {
      producer.close(timeout: .zero)
      throw error
    }
    let new = SharedProducer(producer, key)
    guard let member = new.enter(key, isFirst: true) else {
      preconditionFailure("nobody has failed with a new producer")
    }
    producers.withLock { producers in
      producers.removeAll { !$0.isUsed }
      producers.append(new)
    }
    return (new, member)
  }
}

extension SharedProducer {
  /// Whether a sink uses it, or may.
  fileprivate var isUsed: Bool { state.withLock { $0.members > 0 && $0.failed == nil } }
}
