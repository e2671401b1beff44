/// A text that must not be shown: whatever prints it prints stars.
///
/// Only ``revealed`` gives it, so that each place where a secret leaves can be found by that word.
struct Secret: Hashable, Sendable {
  /// The secret itself, for the peer that asks for it and nobody else.
  let revealed: String

  /// Wraps a text.
  init(_ text: String) { revealed = text }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Stars.
  var description: String { "***" }
  /// Stars.
  var debugDescription: String { "***" }
  /// Nothing, so that `dump` shows nothing either.
  var customMirror: Mirror { Mirror(self, children: []) }
}
