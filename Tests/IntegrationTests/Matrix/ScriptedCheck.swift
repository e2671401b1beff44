/// A row of the page for a version that cannot be installed: seen in a scripted conversation.
struct ScriptedCheck: Sendable {
  let title: String
  let expected: [Int: String]

  static let all: [ScriptedCheck] = []
}
