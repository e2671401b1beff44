import Glibc

/// A listening socket on 127.0.0.1 with a port that the system chose.
struct Listener: ~Copyable {
  let descriptor: Int32
  let port: UInt16

  init?() {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    // SAFETY: the address outlives the calls and is as large as said.
    let isListening = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      let general = unsafe UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: sockaddr.self)
      return unsafe bind(descriptor, general, size) == 0 && listen(descriptor, 8) == 0
        && getsockname(descriptor, general, &size) == 0
    }
    guard isListening else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    self.port = UInt16(bigEndian: address.sin_port)
  }

  /// A port that was free a moment ago, on which nobody listens.
  static func freePort() -> UInt16? {
    guard let listener = Listener() else { return nil }
    return listener.port
  }

  deinit { close(descriptor) }
}
