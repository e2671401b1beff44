/// `[sink.NAME.registry]`: the schema registry that gives schemas their numbers.
struct RegistryConfiguration: Hashable, Sendable {
  /// What a schema is registered under (`value.subject.name.strategy`).
  enum Subjects: String, Hashable, Sendable, CaseIterable {
    /// The topic's name, with -key or -value behind it.
    case topic
    /// The schema's own name.
    case record
    /// Both, with a hyphen between them.
    case topicRecord = "topic-record"
  }

  /// Who registers schemas.
  enum Registration: String, Hashable, Sendable, CaseIterable {
    /// This program, before the first record that needs one.
    case auto
    /// Somebody else: a schema that is not there is an error.
    case never
  }

  /// The addresses, tried in their order.
  var urls: [RegistryURL] = []
  /// The user of basic authentication; nil without.
  var user: String?
  /// The user's password.
  var password: Secret?
  /// The bearer token; nil without.
  var token: Secret?
  /// The file of the authorities that the registry's certificate may be of; nil for the system's.
  var ca: String?
  /// The client's certificate, a PEM file.
  var certificate: String?
  /// The certificate's key, a PEM file.
  var key: String?
  /// What a schema is registered under.
  var subjects = Subjects.topic
  /// Who registers schemas.
  var register = Registration.auto
  /// Whether the registry is asked to disregard the order of properties.
  var normalize = false

  init() {}
}

/// The address of a registry, which may hold a password.
struct RegistryURL: Hashable, Sendable {
  /// The whole address, without a slash at its end.
  let address: Secret
  /// The same without user and password, for errors.
  let shown: String

  /// Takes an address of HTTP or HTTPS, also with a path; nil for anything else.
  init?(_ text: String) {
    guard let scheme = ["https://", "http://"].first(where: { text.lowercased().hasPrefix($0) }),
      text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F }),
      !text.contains(where: { "?#,\"<>\\".contains($0) })
    else { return nil }
    var rest = text.dropFirst(scheme.count)
    while rest.hasSuffix("/") { rest = rest.dropLast() }
    let authority = rest.prefix { $0 != "/" }
    let place = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] }
    let host = place ?? authority
    guard !host.isEmpty, !host.hasPrefix(":") else { return nil }
    address = Secret(scheme + rest)
    shown = scheme + host + rest.dropFirst(authority.count)
  }
}

extension RegistryConfiguration {
  /// Reads `registry` of a sink; nil when it is not set.
  init?(in reader: inout ConfigurationReader, isUsed: Bool) {
    guard var section = reader.section("registry", subject: "a schema registry") else {
      if isUsed, !reader.has("registry") {
        reader.missing(
          "registry", expected: "a table with the urls of a schema registry",
          hint: "Write [\(reader.path).registry] urls = [\"http://registry:8081\"].")
      }
      return nil
    }
    if !isUsed {
      reader.note(
        "registry",
        "has no effect without format = \"avro\", \"protobuf\" or \"json-schema\"")
    }
    let expected = "a list of addresses such as [\"http://registry:8081\"]"
    for text in section.requiredTexts("urls", expected: expected) where !text.value.isEmpty {
      if let url = RegistryURL(text.value) {
        urls.append(url)
      } else {
        // It may hold a password.
        section.fail(
          "urls", at: text.position, found: "a text that is no address of HTTP",
          expected: expected)
      }
    }
    user = section.text("user")?.value
    password = section.text("password").map { Secret($0.value) }
    token = section.text("token").map { Secret($0.value) }
    ca = section.text("ca")?.value
    certificate = section.text("certificate")?.value
    key = section.text("key")?.value
    subjects = section.choice("subjects", default: Subjects.topic)
    register = section.choice("register", default: Registration.auto)
    normalize = section.boolean("normalize", default: false)
    section.checkCredentials(self)
    section.finish()
    reader.absorb(section)
  }
}

extension ConfigurationReader {
  /// Checks that what is to be shown to a registry belongs together.
  fileprivate mutating func checkCredentials(_ registry: RegistryConfiguration) {
    if registry.token != nil, registry.user != nil || registry.password != nil {
      fail(
        "token", at: entry("token")?.position, found: "a token beside user or password",
        expected: "one of them")
    }
    if registry.password != nil, registry.user == nil {
      missing("user", expected: "the user of the password")
    }
    if registry.key != nil, registry.certificate == nil {
      missing("certificate", expected: "the certificate of the key")
    }
    for (name, value) in [("user", registry.user), ("token", registry.token?.revealed)] {
      guard let value, value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { continue }
      fail(
        name, at: entry(name)?.position, found: "a line break or another control character",
        expected: "a text of one line")
    }
  }
}
