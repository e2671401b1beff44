import Glibc
import PGWire
import Recording

/// What registries have answered of schemas, in a file: a start while one is down goes on with it.
///
/// Whoever answers is believed before it. What the file holds can be asked for again, so one that is
/// damaged, or cannot be written, costs a warning and nothing else.
// SAFETY: only one source's worker thread calls it, one call after the other.
final class SchemaCache: @unchecked Sendable {
  /// A subject of a registry.
  private struct Subject: Hashable {
    let registry: String
    let name: String
  }

  /// A schema under a subject.
  private struct Schema: Hashable {
    let subject: Subject
    let digest: String
  }

  /// Where it lies.
  let path: String
  private let log: Log
  private let limit: Int
  private var numbers: [Schema: UInt32] = [:]
  /// The last versions of subjects whose fields have numbers.
  private var texts: [Subject: String] = [:]
  private var isRead = false
  private var isChanged = false
  private var isFailureTold = false
  /// The registries of which it was told that they do not answer.
  private var silent: Set<String> = []

  /// Names a file that need not exist; `limit` is the number of schemas that it may hold.
  init(path: String, limit: Int = Limits.registeredSchemas, log: Log) {
    self.path = path
    self.limit = limit
    self.log = log
  }

  // MARK: - Questions

  /// The number of a schema, as the registry has said it last; nil when it is not known.
  func number(of schema: String, subject: String, registry: String) -> UInt32? {
    read()
    return numbers[
      Schema(
        subject: Subject(registry: registry, name: subject), digest: Self.digest(of: schema))]
  }

  /// The text of a subject's last version that was kept; nil when there is none.
  func text(of subject: String, registry: String) -> String? {
    read()
    return texts[Subject(registry: registry, name: subject)]
  }

  /// Says, once for each outage, that what is known stands for answers.
  func stand(in registry: String, because error: StreamerError) {
    guard silent.insert(registry).inserted else { return }
    log.warning(
      "a schema registry does not answer: the numbers that it has given before are used",
      ["file": path, "cause": error.why])
  }

  // MARK: - Answers

  /// Keeps what a registry has answered, and the text too where the numbers of fields depend on it.
  func learn(
    _ number: UInt32, of schema: String, subject: String, registry: String, keepsText: Bool
  ) {
    read()
    silent.remove(registry)
    let subject = Subject(registry: registry, name: subject)
    let key = Schema(subject: subject, digest: Self.digest(of: schema))
    if numbers[key] != number {
      if numbers.count >= limit { (numbers, texts) = ([:], [:]) }
      numbers[key] = number
      isChanged = true
    }
    guard keepsText, texts[subject] != schema else { return }
    texts[subject] = schema
    isChanged = true
  }

  private static func digest(of schema: String) -> String {
    SHA256.digest(of: Array(schema.utf8)).map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }

  // MARK: - The file

  /// Writes what is new.
  ///
  /// It is written beside and renamed, so that the file is always the old or the new one.
  func save() {
    guard isChanged else { return }
    isChanged = false
    var bytes = contents
    if bytes.count > Limits.schemaCacheBytes {
      texts = [:]
      bytes = contents
    }
    do throws(StreamerError) {
      let draft = path + ".new"
      unsafe unlink(draft)
      let descriptor = try SystemCall.retrying(path) {
        unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      }
      defer { close(descriptor) }
      try Self.write(bytes, to: descriptor, path)
      _ = try SystemCall.retrying(path) { fsync(descriptor) }
      _ = try SystemCall.retrying(path) { unsafe rename(draft, path) }
      isFailureTold = false
    } catch {
      // What is written next has all of it.
      isChanged = true
      guard !isFailureTold else { return }
      isFailureTold = true
      log.warning("numbers of schemas cannot be kept", ["file": path, "cause": error.why])
    }
  }

  private static func write(
    _ bytes: [UInt8], to descriptor: CInt, _ path: String
  ) throws(StreamerError) {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes[written...].withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw StreamerError(errno: errno, path) }
      written += count
    }
  }

  /// A first line with the checksum of the others, each of which is a schema or a subject's text.
  private var contents: [UInt8] {
    var lines: [UInt8] = []
    for (schema, number) in numbers {
      lines += Self.line { json in
        json.key("registry")
        json.value(schema.subject.registry)
        json.key("subject")
        json.value(schema.subject.name)
        json.key("sha256")
        json.value(schema.digest)
        json.key("id")
        json.value(number)
      }
    }
    for (subject, text) in texts {
      lines += Self.line { json in
        json.key("registry")
        json.value(subject.registry)
        json.key("subject")
        json.value(subject.name)
        json.key("schema")
        json.value(text)
      }
    }
    let head = Self.line { json in
      json.key("psql-streamer")
      json.value("schemas")
      json.key("version")
      json.value(Self.version)
      json.key("crc32c")
      json.value(Self.checksum(of: lines))
    }
    return head + lines
  }

  private static let version = 1

  private static func checksum(of lines: [UInt8]) -> UInt32 {
    // SAFETY: the span does not leave the call.
    unsafe CRC32C.checksum(of: lines.span.bytes)
  }

  private static func line(_ members: (inout JSONText) -> Void) -> [UInt8] {
    var json = JSONText()
    json.object(members)
    return json.bytes + [UInt8(ascii: "\n")]
  }

  private func read() {
    guard !isRead else { return }
    isRead = true
    guard FileAccess.exists(path) else { return }
    do throws(FileReadError) {
      // One byte more tells a file that is too large.
      let bytes = try FileReading.read(path, limit: Limits.schemaCacheBytes + 1)
      if let trouble = take(bytes) { throw FileReadError(reason: trouble) }
    } catch {
      (numbers, texts) = ([:], [:])
      log.warning(
        "a file with numbers of schemas is not used", ["file": path, "cause": error.reason])
    }
  }

  /// Takes what a file holds; gives what is wrong with it.
  private func take(_ bytes: [UInt8]) -> String? {
    guard bytes.count <= Limits.schemaCacheBytes else { return "it is too large" }
    let end = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
    let head = JSONValue(Array(bytes[..<end]))
    guard head?["psql-streamer"]?.string == "schemas" else { return "it is no such file" }
    guard head?["version"]?.integer == Self.version else { return "it is of another version" }
    let lines = Array(bytes[min(end + 1, bytes.endIndex)...])
    guard head?["crc32c"]?.integer == Int(Self.checksum(of: lines)) else {
      return "it is damaged"
    }
    for line in lines.split(separator: UInt8(ascii: "\n")) {
      let entry = JSONValue(Array(line))
      guard let registry = entry?["registry"]?.string, let name = entry?["subject"]?.string else {
        return "it is damaged"
      }
      let subject = Subject(registry: registry, name: name)
      if let text = entry?["schema"]?.string {
        texts[subject] = text
      } else if let digest = entry?["sha256"]?.string, let id = entry?["id"]?.integer,
        let number = UInt32(exactly: id)
      {
        numbers[Schema(subject: subject, digest: digest)] = number
      } else {
        return "it is damaged"
      }
    }
    return nil
  }
}
