@testable import PGWire
@testable import Streamer

/// Connection strings: whatever is wrong with one, no text shows its password.
enum ConnectionStringFuzz: FuzzTarget {
  static let name = "connection-string"
  /// A password that nothing else in an input looks like.
  private static let secret = "Geheim7"

  static var words: [String] {
    ConnectionKeyword.allCases.map { $0.rawValue } + [
      "postgresql://", "postgres://", "verify-full", "127.0.0.1", "[::1]", "%20", "'", "\\'",
    ]
  }

  static var seeds: [[UInt8]] {
    [
      (0, "host=db1 port=5433 dbname=shop user=streamer password=x sslmode=verify-full"),
      (0, "host = 'a b' user='it\\'s' connect_timeout=3 keepalives=1"),
      (0, "postgresql://u:p%40@h1:1,[::1]:2,/tmp:3/db?sslmode=require&connect_timeout=2"),
      (0, "postgres:///db?host=/var/run/postgresql&ssl=true"),
      (0, "hostaddr=127.0.0.1,::1 host=a,b"),
      (1, "@host:5432/db?sslmode=disable"), (2, " host=db1 sslmode=require"),
      (1, "/x@host/db"), (1, ""), (1, ",b:2/d"), (2, " words port=x"),
      (3, "load_balance_hosts="), (3, "host=db1 dbname=shop"), (4, "' sslmode=on"),
      (5, "&sslmode=x"),
    ].map { [$0.0] + Array($0.1.utf8) }
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let form = input.byte() % 6
    let text = String(decoding: input.all(), as: UTF8.self)
    switch form {
    case 0: try read(text)
    // Without an "@" before the first "/" libpq reads a port; it is a torn password all the same.
    case 1: try read("postgresql://u:\(secret)\(text)", secret, mayBeTorn: true)
    case 2: try read("user=u password=\(secret)\(text)", secret)
    case 3: try read("\(text) password=\(secret)", secret)
    case 4: try read("password='\(secret)\(text)", secret)
    default: try read("postgres://h/d?password=\(secret)\(text)", secret)
    }
  }

  /// Reads a connection string all the way; a secret in it may occur in no text that comes out.
  private static func read(
    _ text: String, _ secret: String? = nil, mayBeTorn: Bool = false
  ) throws(Violation) {
    var shown: [String] = []
    var isRead = false
    var password: String?
    let outcome = try Outcome.of { () throws(PGError) in
      let string = try ConnectionString(text)
      isRead = true
      password = string.values[.password]
      shown.append(string.description)
      let parameters = try ConnectionParameters(string, environment: ["HOME": "/home/u"])
      shown.append(parameters.description)
      return ""
    }
    if case .failure(let error) = outcome { shown.append(error) }
    guard let secret else { return }
    // As in libpq "user= password=x" names a user, and "load_balance_hosts= password=x" a wrong word
    // that the error shows: what was read and is no password cannot be hidden as one.
    let isPassword = password?.contains(secret) == true
    if isRead, !isPassword, !mayBeTorn || outcome == .value("") { return }
    // What follows the secret may hold it again, in a place that is no secret's.
    guard text.utf8.count(of: secret) == 1 else { return }
    for line in shown {
      try require(!line.contains(secret), "a password is shown: \(line)")
    }
  }
}

extension String.UTF8View {
  /// How often a text occurs.
  fileprivate func count(of text: String) -> Int {
    Array(self).ranges(of: Array(text.utf8)).count
  }
}
