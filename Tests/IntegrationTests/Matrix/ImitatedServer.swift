import Glibc
import PGWire
import Support
import Synchronization

/// A server of a version that cannot be installed, as far as logical replication sees it.
///
/// It says what servers 10.18 and 14.23 were seen to say: which settings, commands and options they
/// refuse and how, how they complete commands, and that they send empty transactions. What it sends
/// is put together by `ServerBytes`, which shares nothing with the client.
final class ImitatedServer: Sendable {
  /// One transaction that the imitation has committed.
  struct Transaction: Sendable {
    let commit: LSN
    let end: LSN
    let table: String
    /// The value of the one column.
    let value: String
  }

  /// What all sessions share.
  struct State: Sendable {
    var transactions: [Transaction] = []
    /// Confirmed position and reader of each slot.
    var slots: [String: (confirmed: LSN, reader: Int32?)] = [:]
    var publications: Set<String> = []
    var processes: Int32 = 100
    /// The START_REPLICATION commands that were taken.
    var starts: [String] = []

    var end: LSN { transactions.last?.end ?? LSN(0x100_0000) }
  }

  let major: Int
  let versionText: String
  let port: Int
  let state = Mutex(State())
  private let listener: Int32

  /// Listens and serves until the object goes away.
  init(major: Int) throws {
    precondition(major == 10 || major == 14, "the other versions can be installed")
    self.major = major
    versionText = major == 10 ? "10.18" : "14.23"
    port = try FreePort.take()
    listener = try Self.listen(port)
    Self.run { [listener, weak self] in
      while true {
        let peer = accept(listener, nil, nil)
        guard peer >= 0, let self else { return }
        Self.run { ImitatedSession(self, peer).serve() }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  private static func listen(_ port: Int) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = UInt16(port).bigEndian
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    // SAFETY: sockaddr_in is what the kernel expects behind the sockaddr pointer of AF_INET.
    let isBound = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
        unsafe bind(descriptor, general, length) == 0
      }
    }
    guard isBound, Glibc.listen(descriptor, 16) == 0 else {
      throw SupportError("the imitated server cannot listen")
    }
    return descriptor
  }

  /// Runs a body on a thread of its own.
  private static func run(_ body: @escaping @Sendable () -> Void) {
    final class Body: Sendable {
      let run: @Sendable () -> Void
      init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    var thread = pthread_t()
    // SAFETY: the thread takes over the reference that the pointer holds.
    let context = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
    let status = unsafe pthread_create(
      &thread, nil,
      { context in
        if let context = unsafe context {
          unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        }
        return nil
      }, context)
    precondition(status == 0, "a thread can be started")
    pthread_detach(thread)
  }
}
