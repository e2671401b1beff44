import Glibc
import PGWire
import Support
import Synchronization

/// One client of an imitated server: startup, queries, streaming.
final class ImitatedSession {
  let server: ImitatedServer
  private let peer: Int32
  private var received: [UInt8] = []
  private var process: Int32 = 0
  private var temporarySlots: [String] = []
  /// The slot that is streamed from, and where the next transaction begins.
  private var streaming: (slot: String, next: Int)?

  init(_ server: ImitatedServer, _ peer: Int32) {
    self.server = server
    self.peer = peer
  }

  func serve() {
    if start() {
      while let (tag, body) = message() { if !take(tag, body) { break } }
    }
    server.state.withLock { state in
      if let slot = streaming?.slot { state.slots[slot]?.reader = nil }
      for slot in temporarySlots { state.slots[slot] = nil }
    }
    close(peer)
  }

  // MARK: - Startup

  private func start() -> Bool {
    guard let head = receive(8), let rest = receive(Int(head[2]) << 8 + Int(head[3]) - 8) else {
      return false
    }
    let texts = rest.split(separator: 0, omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
    for index in stride(from: 0, to: texts.count - 1, by: 2) {
      if let code = ImitatedVersion.refusal(of: texts[index], major: server.major) {
        send(Self.error(code, "\(texts[index]) is refused", severity: "FATAL"))
        return false
      }
    }
    process = server.state.withLock { state in
      state.processes += 1
      return state.processes
    }
    var bytes = ServerBytes()
    bytes.message("R", [0, 0, 0, 0])
    bytes.message("S", Array("server_version\0\(server.versionText)\0".utf8))
    bytes.message(
      "K", (0..<4).map { UInt8(truncatingIfNeeded: process >> (24 - 8 * $0)) } + [1, 2, 3, 4])
    bytes.message("Z", [UInt8(ascii: "I")])
    send(bytes.bytes)
    return true
  }

  // MARK: - Conversation

  private func take(_ tag: UInt8, _ body: [UInt8]) -> Bool {
    switch Unicode.Scalar(tag) {
    case "Q": answer(String(decoding: body.dropLast(), as: UTF8.self))
    case "d": confirm(body)
    case "c":
      var bytes = ServerBytes()
      bytes.message("c", [])
      bytes.message("C", Array("COPY 0\0".utf8))
      bytes.message("Z", [UInt8(ascii: "I")])
      send(bytes.bytes)
    default: return false
    }
    return true
  }

  private func answer(_ query: String) {
    let (answer, started) = ImitatedVersion.answer(query, self)
    var bytes = ServerBytes()
    bytes.append(answer)
    if started == nil { bytes.message("Z", [UInt8(ascii: "I")]) }
    send(bytes.bytes)
    if let started {
      streaming = (started.slot, started.next)
      sendTransactions()
    }
  }

  /// Remembers a slot that ends with this connection.
  func own(_ slot: String) { temporarySlots.append(slot) }

  /// The number of this session's process.
  var processID: Int32 { process }

  /// A status update: `r`, written, flushed, applied, time, reply.
  private func confirm(_ body: [UInt8]) {
    guard let slot = streaming?.slot, body.count == 34 else { return }
    let flushed = LSN(body[9..<17].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    server.state.withLock { state in
      if let old = state.slots[slot]?.confirmed, flushed > old {
        state.slots[slot]?.confirmed = flushed
      }
    }
    sendTransactions()
  }

  private func sendTransactions() {
    guard let (slot, next) = streaming else { return }
    let (all, end) = server.state.withLock { ($0.transactions, $0.end) }
    var bytes = ServerBytes()
    for transaction in all.dropFirst(next) {
      bytes.append(ImitatedVersion.stream(transaction, number: next))
    }
    streaming = (slot, all.count)
    bytes.keepalive(walEnd: end)
    send(bytes.bytes)
  }

  // MARK: - Bytes

  static func error(_ code: String, _ text: String, severity: String = "ERROR") -> [UInt8] {
    var bytes = ServerBytes()
    bytes.message("E", Array("S\(severity)\0V\(severity)\0C\(code)\0M\(text)\0\0".utf8))
    return bytes.bytes
  }

  /// A message; while streaming, the stream goes on when nothing comes.
  private func message() -> (UInt8, [UInt8])? {
    if streaming != nil {
      var entry = pollfd(fd: peer, events: Int16(POLLIN), revents: 0)
      while received.isEmpty, unsafe poll(&entry, 1, 20) == 0 { sendTransactions() }
    }
    guard let head = receive(5) else { return nil }
    let length = head[1...].reduce(0) { $0 << 8 | Int($1) }
    guard let body = receive(length - 4) else { return nil }
    return (head[0], body)
  }

  private func receive(_ count: Int) -> [UInt8]? {
    var chunk = [UInt8](repeating: 0, count: 4096)
    while received.count < count {
      let got = unsafe recv(peer, &chunk, chunk.count, 0)
      guard got > 0 else { return nil }
      received += chunk.prefix(got)
    }
    defer { received.removeFirst(max(count, 0)) }
    return Array(received.prefix(count))
  }

  private func send(_ bytes: [UInt8]) {
    _ = unsafe Glibc.send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }
}
