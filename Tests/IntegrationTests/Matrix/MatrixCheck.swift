import PGWire
import Support

/// What a server did with a feature.
enum Seen: Hashable, Sendable {
  /// It has it; the note says how, where versions differ.
  case works(String = "")
  /// It refused, with this SQLSTATE.
  case refused(String)
  /// It does something else instead.
  case absent(String)
  /// The server was built without what it takes, whatever its version.
  case notBuilt

  /// Whether this is what a version that has the feature, or lacks it, does.
  func isExpected(of isThere: Bool) -> Bool {
    switch self {
    case .works: isThere
    case .refused, .absent: !isThere
    case .notBuilt: true
    }
  }

  /// As docs/COMPATIBILITY.md writes it.
  var text: String {
    switch self {
    case .works(let note): note.isEmpty ? "yes" : "yes: \(note)"
    case .refused(let code): "no: \(code)"
    case .absent(let note): "no: \(note)"
    case .notBuilt: "not in this build"
    }
  }
}

/// One row of the matrix: a feature, and how a server is asked for it.
struct MatrixCheck: Sendable {
  /// The chapters of the page, in their order.
  enum Chapter: String, CaseIterable, Sendable {
    case connecting = "Connecting"
    case settings = "Settings of a session"
    case slots = "Slots"
    case publications = "Publications"
    case stream = "The stream"
    case events = "Events"
    case service = "The program"
  }

  let chapter: Chapter
  /// What the page calls it.
  let title: String
  /// The first major version that has it: what the code believes.
  let since: Int
  /// Asks the server.
  let probe: @Sendable (MatrixServer) throws -> Seen
  /// Whether an imitated server can be asked too.
  private(set) var isImitable = false

  init(
    _ chapter: Chapter, _ title: String, since: Int = 10,
    _ probe: @escaping @Sendable (MatrixServer) throws -> Seen
  ) {
    self.chapter = chapter
    self.title = title
    self.since = since
    self.probe = probe
  }

  /// A row whose gate is one of the client's.
  init(
    _ chapter: Chapter, _ title: String, _ feature: ServerFeature,
    _ probe: @escaping @Sendable (MatrixServer) throws -> Seen
  ) {
    self.init(chapter, title, since: feature.firstMajor, probe)
  }

  /// The same row, asked of imitated servers too.
  var imitable: MatrixCheck {
    var check = self
    check.isImitable = true
    return check
  }

  /// All rows, in the page's order.
  static let all: [MatrixCheck] =
    MatrixChecks.connecting + MatrixChecks.settings + MatrixChecks.slots
    + MatrixChecks.slotStates + MatrixChecks.publications + MatrixChecks.stream
    + MatrixChecks.transactions + MatrixChecks.events + MatrixChecks.service
}

/// The rows, a chapter in each extension.
enum MatrixChecks {}
