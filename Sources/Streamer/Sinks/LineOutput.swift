import Glibc
import Synchronization

/// The file or standard output behind a ``LineSink``.
///
/// Jobs write, one at a time, on the I/O worker; ``abandon()`` and ``close()`` may come from any
/// thread at any time and never wait for a write: who reads a pipe may never read again.
final class LineOutput: Sendable {
  /// Where lines go.
  enum Target: Sendable {
    case file(LineFile)
    case standardOutput(StandardOutput)
  }

  private struct State {
    var target: Target
    var isOpen = false
    var isWriting = false
    var isClosed = false
  }

  private let state: Mutex<State>
  private let abandoned: EventDescriptor

  /// Makes an output that is not open.
  init(_ target: Target) throws(StreamerError) {
    abandoned = try EventDescriptor()
    state = Mutex(State(target: target))
  }

  /// Whether it was closed.
  var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Opens it unless it is open.
  func open() throws(StreamerError) {
    try state.withLock { (state) throws(StreamerError) in
      guard !state.isOpen else { return }
      switch state.target {
      case .file(var file):
        try file.open()
        state.target = .file(file)
      case .standardOutput(var output):
        output.open()
        state.target = .standardOutput(output)
      }
      state.isOpen = true
    }
  }

  /// Writes all of `lines` and makes them durable; says what went wrong.
  func write(_ lines: [UInt8]) -> StreamerError? {
    // Taken out for the time of the write: the lock is never held while something may block.
    let taken = state.withLock { state -> Target? in
      guard state.isOpen, !state.isClosed else { return nil }
      precondition(!state.isWriting, "two jobs write at the same time")
      state.isWriting = true
      return state.target
    }
    guard var target = taken else { return Self.givenUp }
    let error: StreamerError?
    switch target {
    case .file(var file):
      error = file.write(lines, unless: abandoned.descriptor)
      target = .file(file)
    case .standardOutput(var output):
      error = output.write(lines, unless: abandoned.descriptor)
      target = .standardOutput(output)
    }
    state.withLock { state in
      state.target = target
      state.isWriting = false
      if state.isClosed { Self.release(&state) }
    }
    return error
  }

  /// Makes a write that is under way, and any later one, end with an error.
  func abandon() { abandoned.signal() }

  /// Lets go of the descriptor, now or when the write that is under way has ended.
  func close() {
    abandon()
    state.withLock { state in
      state.isClosed = true
      if !state.isWriting { Self.release(&state) }
    }
  }

  private static func release(_ state: inout State) {
    guard state.isOpen else { return }
    state.isOpen = false
    switch state.target {
    case .file(let file): file.close()
    case .standardOutput(let output): output.close()
    }
  }

  /// What a write says that was left behind.
  static let givenUp = StreamerError(
    what: "the output", why: "the write was given up before it was complete",
    hint: "What was not written comes again.", retryable: true)
}

extension CInt {
  /// Waits until the descriptor takes bytes; false when `abandoned` became readable before.
  func waitUntilWritable(unless abandoned: CInt) -> Bool {
    while true {
      var entries = [
        pollfd(fd: self, events: Int16(POLLOUT), revents: 0),
        pollfd(fd: abandoned, events: Int16(POLLIN), revents: 0),
      ]
      let count = unsafe poll(&entries, 2, -1)
      if count < 0, errno == EINTR { continue }
      if entries[1].revents != 0 { return false }
      return true
    }
  }
}
