import CLinux
import CRdKafka
import Glibc
import Synchronization

/// What librdkafka's callbacks reach through their opaque pointer.
///
/// One exists per instance and is released after the instance is destroyed.
class ClientContext {
  /// Where log lines go.
  final let log: KafkaLogHandler?
  /// What brokers refuse and librdkafka tries again; nil for a client that does not ask for it.
  final let refusals: BrokerRefusals?

  init(log: KafkaLogHandler?, refusals: BrokerRefusals? = nil) {
    self.log = log
    self.refusals = refusals
  }
}

// A class because callbacks, topics and threads refer to one instance.
// SAFETY: librdkafka's functions may be called from any thread; what is stored here does not change
// but for `isDestroyed`, which only the owner's closing call touches.

/// One librdkafka instance and what has to live exactly as long as it.
///
/// It is destroyed by ``destroy(within:)`` on a thread of its own: `rd_kafka_destroy` waits for
/// every thread of the library, and for ever when one of its objects was forgotten.
@safe final class ClientHandle: @unchecked Sendable {
  /// The instance.
  let client: OpaquePointer
  /// What callbacks refer to.
  private let context: Unmanaged<ClientContext>
  /// Whether ``destroy(within:)`` was called.
  private(set) var isDestroyed = false
  /// The brokers that the last answer named.
  let brokers = Mutex<[Int32: String]>([:])
  /// The bootstrap servers as configured, for error texts.
  let bootstrapServers: String
  /// The SASL mechanism as configured, for error texts.
  let mechanism: String?
  /// The largest record the client accepts, in bytes.
  let maximumMessageBytes: Int
  /// The largest batch the client makes of several records, in bytes.
  let maximumBatchBytes: Int

  /// Makes the instance, which starts its threads and connects in the background.
  ///
  /// `prepare` sets events and callbacks on the configuration object. Throws when a property is not
  /// accepted or the properties contradict each other.
  init(
    _ type: rd_kafka_type_t, configuration: KafkaConfiguration, context: ClientContext,
    prepare: (OpaquePointer) -> Void
  ) throws(KafkaError) {
    let conf = try unsafe configuration.makeConf()
    let retained = unsafe Unmanaged.passRetained(context)
    unsafe rd_kafka_conf_set_opaque(conf, retained.toOpaque())
    unsafe ClientHandle.setLog(on: conf)
    unsafe prepare(conf)
    let limit = unsafe KafkaConfiguration.value(of: "message.max.bytes", in: conf)
    let batch = unsafe KafkaConfiguration.value(of: "batch.size", in: conf)
    var text = [CChar](repeating: 0, count: 512)
    // SAFETY: on success the instance takes the configuration, on failure we destroy it.
    guard let client = unsafe rd_kafka_new(type, conf, &text, text.count) else {
      let code = rd_kafka_last_error()
      unsafe rd_kafka_conf_destroy(conf)
      unsafe retained.release()
      let words = String(zeroTerminated: text)
      throw KafkaError(
        code, text: words + configuration.mentioned(in: words),
        operation: "configure the Kafka client", category: .configuration, isRetriable: false)
    }
    unsafe self.client = client
    unsafe self.context = retained
    self.bootstrapServers = configuration.value(of: "bootstrap.servers") ?? ""
    self.mechanism = configuration.value(of: "sasl.mechanism")
    self.maximumMessageBytes = limit.flatMap { Int($0) } ?? 1_000_000
    self.maximumBatchBytes = min(batch.flatMap { Int($0) } ?? 1_000_000, maximumMessageBytes)
  }

  deinit { if !isDestroyed { _ = destroy(within: .zero) } }

  // A nonisolated function, so that the closure runs on any thread (a C callback formed in an
  // isolated context traps there).
  private static func setLog(on conf: OpaquePointer) {
    unsafe rd_kafka_conf_set_log_cb(conf) { client, level, facility, text in
      guard let client = unsafe client, let opaque = unsafe rd_kafka_opaque(client) else { return }
      // SAFETY: the context is released only after the instance is gone.
      let context = unsafe Unmanaged<ClientContext>.fromOpaque(opaque).takeUnretainedValue()
      if let refusals = context.refusals, level == KafkaLogLine.Level.debug.rawValue {
        return unsafe refusals.take(facility: facility, text: text)
      }
      guard let log = context.log else { return }
      let line = unsafe KafkaLogLine(
        level: KafkaLogLine.Level(rawValue: level) ?? .notice,
        facility: facility.map { unsafe String(cString: $0) } ?? "",
        text: text.map { unsafe String(cString: $0) } ?? "")
      log(line)
    }
  }

  /// The reason of a fatal error, nil while there is none.
  func fatalError(operation: String) -> KafkaError? {
    var text = [CChar](repeating: 0, count: 512)
    // SAFETY: the text is zero-terminated within its count.
    let code = unsafe rd_kafka_fatal_error(client, &text, text.count)
    guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
    return KafkaError(
      code, text: String(zeroTerminated: text), operation: operation, isFatal: true,
      isRetriable: false)
  }

  /// Leaves the instance running for ever, for the one case in which destroying it is a crash.
  func abandon() {
    precondition(!isDestroyed, "a Kafka client is destroyed once")
    isDestroyed = true
  }

  /// Destroys the instance on a thread of its own and waits at most `timeout` for the end.
  ///
  /// Returns whether it is gone. When it is not, the thread goes on alone and nothing waits for it.
  /// Every topic, queue and event of the instance must have been destroyed before, or be by
  /// `preparation`, which runs first on that thread.
  func destroy(
    within timeout: Duration, after preparation: @escaping @Sendable () -> Void = {}
  ) -> Bool {
    precondition(!isDestroyed, "a Kafka client is destroyed once")
    isDestroyed = true
    let destruction = unsafe Destruction(
      client: client, context: context, preparation: preparation)
    return destruction.run(waiting: timeout)
  }
}

// SAFETY: all stored properties are constants; the descriptor lives until the last owner is gone.

/// The destruction of one instance, shared by the thread that does it and the one that waits.
@safe private final class Destruction: @unchecked Sendable {
  private let client: OpaquePointer
  private let context: Unmanaged<ClientContext>
  private let preparation: @Sendable () -> Void
  private let done: CInt

  init(
    client: OpaquePointer, context: Unmanaged<ClientContext>,
    preparation: @escaping @Sendable () -> Void
  ) {
    self.preparation = preparation
    unsafe self.client = client
    unsafe self.context = context
    self.done = eventfd(0, CInt(EFD_CLOEXEC))
  }

  deinit { if done >= 0 { _ = Glibc.close(done) } }

  func run(waiting timeout: Duration) -> Bool {
    let deadline = Deadline(timeout)
    let retained = unsafe Unmanaged.passRetained(self)
    var thread = pthread_t()
    // SAFETY: the thread takes over the retained reference.
    let result = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<Destruction>.fromOpaque(argument).takeRetainedValue().perform()
        return nil
      }, retained.toOpaque())
    guard result == 0 else {
      unsafe retained.release()
      perform()
      return true
    }
    pthread_detach(thread)
    var waited = pollfd(fd: done, events: Int16(POLLIN), revents: 0)
    while unsafe Glibc.poll(&waited, 1, deadline.milliseconds()) < 0, errno == EINTR {}
    return waited.revents & Int16(POLLIN) != 0
  }

  private func perform() {
    unsafe clinux_name_thread("kafka-destroy")
    preparation()
    // SAFETY: the only call that destroys the instance; callbacks end with it, then their context.
    // A consumer has left its group before, or could not: it is not tried again without a limit.
    unsafe rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
    unsafe context.release()
    var one: UInt64 = 1
    _ = unsafe Glibc.write(done, &one, 8)
  }
}
