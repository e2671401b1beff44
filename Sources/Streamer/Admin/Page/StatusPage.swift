import PGWire

/// What `/` answers: the state of this moment for people, as HTML.
///
/// It shows what ``StatusDocument``, ``StatsDocument`` and ``Readiness`` say to programs and keeps
/// no state. The page is whole without its script, which asks for it again and works out rates.
struct StatusPage {
  /// How many tables are listed; the others are in `/metrics`.
  static let listedTables = 20

  /// What `/status` answers.
  let status: JSONValue
  /// What `/stats` answers.
  let stats: JSONValue
  /// What stands against being ready.
  let reasons: [String]
  /// The tables with the most changes, and how many there are.
  let tables: (listed: [TableTotals], count: Int)
  /// The moment that it shows.
  let now: UTCTime

  /// The page's UTF-8.
  var html: [UInt8] {
    var text = ""
    for (before, name) in Self.pieces {
      text += before
      text += part(name)
    }
    return Array(text.utf8)
  }

  private func part(_ name: String) -> String {
    var html = HTMLText()
    switch name {
    case "style": return Self.style
    case "script": return Self.script
    case "title": html.put("\(verdict.sign) \(verdict.text) – psql-streamer")
    case "version": html.put(string(status["version"]))
    case "verdict":
      html.element(
        "p", ["id": "verdict", "class": "verdict \(verdict.tone.rawValue)", "role": "status"],
        text: "\(verdict.sign) \(verdict.text)")
    case "as-of":
      html.element("p", ["id": "as-of", "class": "as-of"]) { html in
        html.put("as of ")
        html.element("time", ["datetime": now.description], text: now.clock(beside: now))
      }
    case "main":
      writeTrouble(to: &html)
      writeSources(to: &html)
      writeSinks(to: &html)
      writeTables(to: &html)
      writeHeld(to: &html)
      writeLeftOut(to: &html)
    default: break
    }
    return html.text
  }

  // MARK: - How things stand

  /// How something stands: each tone has a sign too, for whom colours say nothing.
  enum Tone: String {
    case good, wait, bad

    var sign: String {
      switch self {
      case .good: "●"
      case .wait: "▲"
      case .bad: "✖"
      }
    }

    init(_ state: PipelineState?) {
      guard let state else {
        self = .bad
        return
      }
      self = state.isTrouble ? .bad : state.isUp ? .good : .wait
    }
  }

  /// How it stands as a whole.
  var verdict: (tone: Tone, sign: String, text: String) {
    let tone: Tone = status["ok"]?.bool == true ? reasons.isEmpty ? .good : .wait : .bad
    let text =
      switch tone {
      case .good: "all well"
      case .wait: "not ready"
      case .bad: "trouble"
      }
    return (tone, tone.sign, text)
  }

  var sources: [JSONValue] { status["sources"]?.elements ?? [] }
  var sinks: [JSONValue] { status["sinks"]?.elements ?? [] }

  func string(_ value: JSONValue?) -> String { value?.string ?? "–" }

  /// The time since which a state holds.
  func since(_ object: JSONValue) -> UTCTime? { object["since"]?.string.flatMap(UTCTime.init) }

  // MARK: - The frame

  /// The headers of the answer beyond those that every answer has.
  ///
  /// Nothing but what stands in the page runs or styles it, and it asks nobody but this server.
  static let headers = [
    (
      "Content-Security-Policy",
      "default-src 'none'; script-src \(source(script)); style-src \(source(style)); "
        + "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'"
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
  ]

  private static let style = String(decoding: PackageResources.page_css, as: UTF8.self)
  private static let script = String(decoding: PackageResources.page_js, as: UTF8.self)

  /// A text as a Content-Security-Policy names it: by its digest.
  private static func source(_ text: String) -> String {
    let digest = SHA256.digest(of: Array(text.utf8))
    var base64 = ByteWriter()
    unsafe Base64.append(characters: digest.span.bytes, to: &base64)
    let bytes = base64.bytes
    return unsafe "'sha256-\(bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) })'"
  }

  /// The frame's text with the name of what follows it; the last piece has none.
  private static let pieces: [(before: String, name: String)] = {
    let frame = String(decoding: PackageResources.page_html, as: UTF8.self)
    return frame.split(separator: "}}", omittingEmptySubsequences: false).map { piece in
      let parts = piece.split(separator: "{{", maxSplits: 1, omittingEmptySubsequences: false)
      return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }
  }()
}
