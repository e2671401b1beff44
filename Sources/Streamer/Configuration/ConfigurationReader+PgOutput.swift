import PGWire

extension ConfigurationReader {
  /// Reads the keys that say what is asked of pgoutput.
  ///
  /// What depends on the server's version is checked when it is known.
  mutating func outputOptions(publication: String) -> PgOutputOptions {
    var options = PgOutputOptions(publications: [publication])
    if has("protocol") {
      options.protocolVersion = integer("protocol", default: 1, in: 1...4)
    }
    options.messages = boolean("messages", default: true)
    if has("streaming") {
      options.streaming = boolean("streaming", default: true) ? .on : .off
    }
    options.twoPhase = boolean("twoPhase", default: false)
    options.binary = boolean("binary", default: false)
    if has("origin") { options.origin = choice("origin", default: PgOutputOptions.Origin.any) }
    require("streaming", options.streaming == .on, protocol: 2, options)
    require("twoPhase", options.twoPhase, protocol: 3, options)
    return options
  }

  /// Records an error where a key wants a higher protocol than the file sets.
  private mutating func require(
    _ key: String, _ isAsked: Bool, protocol least: Int, _ options: PgOutputOptions
  ) {
    guard isAsked, let version = options.protocolVersion, version < least else { return }
    fail(
      key, at: entry(key)?.position, found: "true",
      expected: "protocol \(least) or higher beside it",
      hint: "Leave protocol out for the highest that the server has.")
  }
}
