@testable import PGWire

/// The start of a connection against a server that sends whatever it likes, cut in any way.
enum StartupFuzz: FuzzTarget {
  static let name = "startup"
  private static let password = "geheim"
  private static let nonce = Array("n".utf8)

  static let words = [
    "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "r=nx,s=AAAA,i=1", "server_version", "EFATAL:  no\n",
  ]

  static var seeds: [[UInt8]] {
    let frames = BackendMessageFuzz.frames
    let ready: [(tag: Character, body: [UInt8])] = [
      ("R", [0, 0, 0, 0]), ("S", Array("server_version\0".utf8) + Array("15.18\0".utf8)),
      ("K", [0, 0, 0, 9, 1, 2, 3, 4]), ("Z", [0x49]),
    ]
    let first = Array("r=nx,s=AAAA,i=1".utf8)
    let scram: [(tag: Character, body: [UInt8])] = [
      ("R", [0, 0, 0, 10] + Array("SCRAM-SHA-256\0\0".utf8)), ("R", [0, 0, 0, 11] + first),
      ("R", [0, 0, 0, 12] + SCRAMFuzz.signature(to: first)),
    ]
    return [
      [0, 1] + frames(ready), [0, 2] + frames([("R", [0, 0, 0, 3])] + ready),
      [0, 3] + frames([("R", [0, 0, 0, 5, 1, 2, 3, 4])] + ready),
      [1, 4] + frames(scram + ready), [2, 5] + frames(scram + ready),
      [0, 6] + Array("EFATAL:  sorry, too many clients already\n\0".utf8),
      [0, 9] + frames([("v", [0, 3, 0, 0, 0, 0, 0, 1] + Array("_pq_.x\0".utf8))] + ready),
      [0, 7] + frames([("N", Array("SNOTICE\0Mhello\0\0".utf8))] + ready),
      [0, 8] + frames([("E", Array("SFATAL\0VFATAL\0C28P01\0Mno\0\0".utf8))]),
    ]
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let binding = input.choice(ChannelBinding.allCases)
    var cuts = Cuts(input.byte())
    let stream = input.all()
    guard !SCRAMFuzz.wantsMuchWork(stream) else { return }
    let whole = try outcome(of: stream, binding) { stream.count }
    let cut = try outcome(of: stream, binding) { cuts.next(upTo: 64) }
    try require(whole == cut, "the start ends as \(whole) in one piece and as \(cut) in parts")
    if case .failure(let text) = whole {
      try require(
        !text.contains(password) || stream.contains(password), "an error shows the password")
    }
  }

  /// Feeds a server's bytes, as many at a time as `size` says.
  private static func outcome(
    of stream: [UInt8], _ binding: ChannelBinding, size: () -> Int
  ) throws(Violation) -> Outcome {
    var machine = StartupMachine(
      PasswordAuthentication(
        user: "u", credential: Credential(password: password),
        rules: AuthenticationRules(channelBinding: binding),
        // A choice that never meets TLS would leave half of the rules out.
        material: binding == .prefer ? .tls(serverEndPoint: [1, 2, 3]) : .clear, nonce: nonce),
      versions: .v3_0 ... .v3_2)
    var answers: [UInt8] = []
    return try Outcome.of { () throws(PGError) in
      var window: [UInt8] = []
      var sent = 0
      while true {
        var output = ByteWriter()
        let step = try machine.receive(unsafe window.span.bytes, into: &output)
        answers += output.bytes.copy
        window.removeFirst(step.consumed)
        switch step.action {
        case .ready: return "\(machine.summary) \(answers)"
        case .send: continue
        case .receive(let missing):
          precondition(missing > 0, "the start waits for nothing")
        }
        guard sent < stream.count else { throw machine.endOfInput(unsafe window.span.bytes) }
        let count = min(size(), stream.count - sent)
        window += stream[sent..<sent + count]
        sent += count
      }
    }
  }
}

extension StartupMachine {
  /// What a start has learned.
  fileprivate var summary: String {
    let parameters = "\(version) " + "\(parameterStatus.sorted { $0.key < $1.key })"
    return "\(parameters) \(keyData?.description ?? "") \(notices.count)"
  }
}

extension [UInt8] {
  /// Whether the text occurs in the bytes.
  func contains(_ text: String) -> Bool { firstRange(of: Array(text.utf8)) != nil }
}
