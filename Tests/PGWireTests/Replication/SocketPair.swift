import Glibc

/// Two connected sockets: the client's end is for somebody to adopt, the server's is the test's own.
struct SocketPair: ~Copyable {
  /// The end that a stream takes over and closes.
  let client: CInt
  /// The test's end; it blocks.
  let server: CInt

  init() throws {
    var pair: [CInt] = [-1, -1]
    // SAFETY: the kernel fills both places.
    guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0 else {
      throw Failure()
    }
    client = pair[0]
    server = pair[1]
  }

  struct Failure: Error {}

  deinit { close(server) }

  /// Sends everything from the test's end.
  func send(_ bytes: [UInt8]) { Self.send(bytes, to: server) }

  /// Sends everything; false when the other end was closed before.
  @discardableResult static func send(_ bytes: [UInt8], to server: CInt) -> Bool {
    var done = 0
    while done < bytes.count {
      // SAFETY: the range lies within the array.
      let count = unsafe bytes[done...].withUnsafeBytes {
        unsafe Glibc.send(server, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }

  /// Receives that many bytes at the test's end, fewer when the other was closed before.
  func receive(_ count: Int) -> [UInt8] { Self.receive(count, from: server) }

  /// Receives that many bytes, fewer when the other end was closed before.
  static func receive(_ count: Int, from server: CInt) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      // SAFETY: the range lies within the array.
      let got = unsafe bytes[done...].withUnsafeMutableBytes {
        unsafe recv(server, $0.baseAddress, $0.count, 0)
      }
      guard got > 0 else { break }
      done += got
    }
    return Array(bytes.prefix(done))
  }
}
