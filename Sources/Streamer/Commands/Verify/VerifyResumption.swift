import Glibc
import PGWire

/// What `verify --resume` has found so far, in a file: a run that was cut off is gone on with.
///
/// The file is lines of JSON. The first says what kind of file it is, each other has a part that was
/// compared, and is durable before the next part begins. A line that has no end was being written when
/// the run was cut off, and counts for nothing.
final class VerifyResumption {
  /// What findings rest on: they are of no use to a run that rests on something else.
  struct Basis: Hashable {
    /// The source, and the sink.
    let source, sink: String
    /// The server, by what no other one has, and its database.
    let server: String
    /// A digest of what is set.
    let settings: String
  }

  /// Tables that were compared together.
  struct Part: Hashable {
    /// What it rests on.
    var basis: Basis
    /// When it was compared, and the place in the log up to which the topics had to be complete.
    var at = "\(UTCTime.now)"
    var fence: LSN
    /// What was found of each table, and the table's OID.
    var findings: [TableFinding]
    var relations: [UInt32]
    /// What has to be known to read it.
    var remarks: [String]
  }

  private static let head = "{\"file\":\"psql-streamer verify --resume\",\"version\":1}"
  private let path: String
  private let descriptor: CInt
  private var parts: [Part] = []
  private var isEmpty = true

  /// Takes the file at `path`, which is made if there is none.
  ///
  /// Throws when it is another file, or another run has it: then it is as it was.
  init(path: String) throws(StreamerError) {
    self.path = path
    descriptor = try SystemCall.retrying(path) {
      unsafe open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw Self.refusal(path, "another run has it", hint: "Wait for its end.")
    }
    try read()
  }

  deinit { close(descriptor) }

  private func read() throws(StreamerError) {
    let bytes: [UInt8]
    do throws(FileReadError) {
      bytes = try FileReading.read(path, limit: Limits.verifyResumption + 1)
    } catch { throw Self.refusal(path, error.reason) }
    let end = bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
    var lines = bytes[..<end].split(separator: 0x0A).map { Array($0) }
    let first = lines.isEmpty ? Array(bytes) : lines.removeFirst()
    let isOurs = end == 0 ? Self.head.utf8.starts(with: first) : first == Array(Self.head.utf8)
    guard isOurs, bytes.count <= Limits.verifyResumption else {
      throw Self.refusal(
        path, "it is no file of verify --resume, or of another version", hint: "Name another file.")
    }
    isEmpty = end == 0
    for (index, line) in lines.enumerated() {
      guard let part = JSONValue(line).flatMap({ Part($0) }) else {
        // What a power failure has left of the last line may have its end.
        if index == lines.count - 1 { return try cut(at: end - line.count - 1) }
        throw Self.refusal(path, "line \(index + 2) is damaged", hint: "Delete it to begin anew.")
      }
      parts.append(part)
    }
    if end < bytes.count { try cut(at: end) }
  }

  private func cut(at length: Int) throws(StreamerError) {
    _ = try SystemCall.retrying(path) { ftruncate(descriptor, length) }
  }

  /// Throws when it has parts of sinks that this run does not compare.
  func check(_ targets: [VerifyTarget]) throws(StreamerError) {
    for basis in parts.map(\.basis) {
      let isHere = targets.contains { $0.source.name == basis.source && $0.sink.name == basis.sink }
      guard !isHere else { continue }
      throw Self.refusal(
        path,
        "it has results of sink \(basis.sink), source \(basis.source), which are not compared",
        hint: Self.remedy)
    }
  }

  /// The parts of a sink; throws when they rest on something else.
  func parts(on basis: Basis) throws(StreamerError) -> [Part] {
    let mine = parts.filter { $0.basis.source == basis.source && $0.basis.sink == basis.sink }
    for part in mine {
      guard part.basis.server == basis.server else {
        throw Self.refusal(
          path, "its results are of another server or database", hint: Self.remedy)
      }
      guard part.basis.settings == basis.settings else {
        throw Self.refusal(
          path, "its results were found with other settings or options", hint: Self.remedy)
      }
    }
    return mine
  }

  /// Adds a part; durable when it returns.
  func keep(_ part: Part) throws(StreamerError) {
    var bytes: [UInt8] = isEmpty ? Array("\(Self.head)\n".utf8) : []
    bytes += part.json + [0x0A]
    if isEmpty { try cut(at: 0) }
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes[done...].withUnsafeBytes {
        unsafe write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw StreamerError(errno: errno, path) }
      done += count
    }
    _ = try SystemCall.retrying(path) { fsync(descriptor) }
    if isEmpty { try SystemCall.syncDirectory(of: path, path) }
    isEmpty = false
    parts.append(part)
  }

  /// All is compared and told: the next run begins anew.
  func complete() throws(StreamerError) {
    _ = try SystemCall.retrying(path) { unsafe unlink(path) }
  }

  private static let remedy = "Delete it to begin anew, or name another."

  private static func refusal(_ path: String, _ why: String, hint: String = "") -> StreamerError {
    StreamerError(what: "--resume \(path)", why: why, hint: hint, exit: .usage)
  }
}

extension VerifyResumption.Part {
  /// One line without its end.
  fileprivate var json: [UInt8] {
    var json = JSONText()
    json.object { json in
      for (name, text) in [
        ("source", basis.source), ("sink", basis.sink), ("server", basis.server),
        ("settings", basis.settings), ("at", at), ("fence", "\(fence)"),
      ] {
        json.key(name)
        json.value(text)
      }
      json.key("relations")
      json.array { json in for relation in relations { json.value(relation) } }
      json.key("tables")
      json.array { json in for finding in findings { finding.write(to: &json) } }
      json.key("remarks")
      json.array { json in for remark in remarks { json.value(remark) } }
    }
    return json.bytes
  }

  /// Reads a line; nil when it is none.
  fileprivate init?(_ value: JSONValue) {
    guard let source = value["source"]?.string, let sink = value["sink"]?.string,
      let server = value["server"]?.string, let settings = value["settings"]?.string,
      let at = value["at"]?.string, let fence = value["fence"]?.string.flatMap({ LSN($0) }),
      let tables = value["tables"]?.elements, let relations = value["relations"]?.elements
    else { return nil }
    basis = VerifyResumption.Basis(source: source, sink: sink, server: server, settings: settings)
    self.at = at
    self.fence = fence
    findings = tables.compactMap { TableFinding($0) }
    self.relations = relations.compactMap { $0.integer.flatMap { UInt32(exactly: $0) } }
    remarks = value["remarks"]?.elements.compactMap(\.string) ?? []
    guard findings.count == tables.count, self.relations.count == tables.count else { return nil }
  }
}

extension VerifyTarget {
  /// A digest of what decides how its tables are compared.
  func settings(
    _ options: CommandLineRequest.VerifyOptions
  ) throws(StreamerError) -> String {
    let lines: [String]
    do throws(ConfigurationErrors) {
      lines = try RunningConfiguration.lines(
        under: ["source.\(source.name)", "sink.\(sink.name)"], in: options.configuration)
    } catch {
      throw StreamerError(what: options.configuration, why: "\(error)", exit: .usage)
    }
    let given = ["\(options.tables)", "\(options.examples)", "\(options.repairs)"]
    // References may stand for something else now.
    let known = ["\(kafka.hosts)", postgres.publication, postgres.replicationSlot]
    guard let digest = MessageDigest("SHA-256") else {
      throw StreamerError(what: "verify --resume", why: "OpenSSL has no SHA-256")
    }
    digest.begin()
    for line in lines + given + known {
      let bytes = Array("\(line)\n".utf8)
      digest.add(unsafe bytes.span.bytes)
    }
    var text = ByteWriter()
    digest.end(into: &text)
    return text.bytes.text
  }
}
