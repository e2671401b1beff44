import Glibc
import Support
import Synchronization
import Testing

@testable import PGWire

/// A conversation gives the same whatever the pieces in which it arrives, and ends with a typed error
/// that names the phase wherever it is cut.
@Suite struct InterruptedConversationTests {
  private func undisturbed() throws -> Conversation.Transcript {
    let server = try FaultyServer(Conversation.scramScript)
    let transcript = try Conversation.hold(server.address)
    #expect(server.finish().count == 1)
    return transcript
  }

  @Test func undisturbedItIsUnderstood() throws {
    let transcript = try undisturbed()
    #expect(transcript.processID == 7)
    #expect(transcript.rows == [["1"]])
    #expect(transcript.parameters == ["server_version": "15.18", "TimeZone": "UTC"])
    #expect(transcript.notices == Array(repeating: "NOTICE 00000: by the way", count: 5))
    #expect(transcript.trace.count == 21)
    #expect(transcript.trace.last == "CopyDone")
  }

  @Test func byteByByte() throws {
    let expected = try undisturbed()
    for (script, place) in [
      (Conversation.scramScript, .unix), (Conversation.scramScript, .tcp),
    ] as [([FaultyServer.Turn], FaultyServer.Place)] {
      let server = try FaultyServer(script, faults: [.byteByByte], place: place)
      #expect(try Conversation.hold(server.address) == expected)
      // The status update that was asked for, then CopyDone and Terminate.
      let received = try #require(server.finish().first)
      #expect(received.last?.count == 39)
    }
  }

  /// Between two pieces the socket has nothing: EAGAIN, then a wait.
  @Test(arguments: [1, 7, 64]) func inPieces(size: Int) throws {
    let expected = try undisturbed()
    let server = try FaultyServer(Conversation.scramScript, faults: [.pieces(of: size)])
    #expect(try Conversation.hold(server.address) == expected)
  }

  private static let signals = Atomic<Int>(0)

  /// Signals without SA_RESTART break every wait off.
  @Test func underSignals() throws {
    let expected = try undisturbed()
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_handler = { _ in
      InterruptedConversationTests.signals.add(1, ordering: .relaxed)
    }
    var former = sigaction()
    #expect(unsafe sigaction(SIGUSR2, &action, &former) == 0)
    defer { _ = unsafe sigaction(SIGUSR2, &former, nil) }
    let server = try FaultyServer(Conversation.scramScript, faults: [.pieces(of: 16)])
    let outcome = Mutex<Conversation.Transcript?>(nil)
    let isDone = Flag()
    let client = Thread {
      // The test's own threads block signals.
      var set = sigset_t()
      _ = unsafe sigemptyset(&set)
      _ = unsafe sigaddset(&set, SIGUSR2)
      _ = unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
      let transcript = try? Conversation.hold(server.address)
      outcome.withLock { $0 = transcript }
      isDone.set()
    }
    while !isDone.isSet {
      client.signal(SIGUSR2)
      usleep(50)
    }
    client.join()
    #expect(outcome.withLock { $0 } == expected)
    #expect(Self.signals.load(ordering: .relaxed) > 0)
  }

  @Test func endAtEveryByte() throws {
    let offsets = 0..<Self.last
    let server = try FaultyServer(Conversation.script, faults: offsets.map { .end(after: $0) })
    for offset in offsets {
      let phase = try #require(Conversation.phase(after: offset))
      let failure = Conversation.failure(server.address)
      #expect(failure == .closed(phase), "after \(offset) bytes")
    }
    #expect(server.finish().count == offsets.count)
  }

  @Test func resetAtEveryByte() throws {
    let offsets = 0..<Self.last
    let server = try FaultyServer(Conversation.script, faults: offsets.map { .reset(after: $0) })
    for offset in offsets {
      let expected = try #require(Conversation.phase(after: offset))
      switch Conversation.failure(server.address) {
      // A write is the first to notice, or a read.
      case .closed(let phase), .transport(_, let phase):
        #expect(phase == expected, "after \(offset) bytes")
      case let other: Issue.record("after \(offset) bytes: \(String(describing: other))")
      }
    }
    #expect(server.finish().count == offsets.count)
  }

  /// Cut in the middle of SCRAM.
  @Test func endAndResetInAuthentication() throws {
    let count = 300
    for offset in stride(from: 0, to: count, by: 3) {
      let server = try FaultyServer(
        Conversation.scramScript, faults: [.end(after: offset), .reset(after: offset)])
      #expect(Conversation.failure(server.address) == .closed(.startup), "after \(offset) bytes")
      switch Conversation.failure(server.address) {
      case .closed(.startup), .transport(_, .startup): break
      case let other: Issue.record("after \(offset) bytes: \(String(describing: other))")
      }
    }
  }

  /// Nothing says how long it takes; only that it ends.
  @Test func silenceInEveryPhase() throws {
    let offsets = [
      0, 3, 40, Conversation.welcome.count, Conversation.welcome.count + 9,
      Conversation.welcome.count + Conversation.result.count + 2,
      Conversation.welcome.count + Conversation.result.count + Conversation.start.count,
      Self.last - 1,
    ]
    let server = try FaultyServer(Conversation.script, faults: offsets.map { .silence(after: $0) })
    for offset in offsets {
      guard case .timeout = Conversation.failure(server.address, timeout: .milliseconds(60)) else {
        Issue.record("after \(offset) bytes a timeout was expected")
        return
      }
    }
  }

  /// The queue of a server that accepts nobody takes one or two clients; then connecting hangs.
  @Test func aServerThatDoesNotAccept() throws {
    let listener = try FaultyListener(.tcp, backlog: 0)
    for _ in 0..<10 {
      let failure = Conversation.failure(listener.address, timeout: .milliseconds(60))
      guard case .timeout(let what) = failure else {
        Issue.record("a timeout was expected: \(String(describing: failure))")
        return
      }
      if what.hasPrefix("connecting to 127.0.0.1") { return }
    }
    Issue.record("connecting was expected to hang")
  }

  /// How many bytes the client waits for.
  private static let last: Int = {
    var count = 0
    while Conversation.phase(after: count) != nil { count += 1 }
    return count
  }()
}
