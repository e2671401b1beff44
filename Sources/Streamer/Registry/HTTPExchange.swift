import CCurl
import PGWire

/// One request to a web server, by libcurl; blocks, so it runs on the I/O worker.
///
/// Nothing is kept between two requests but the connection.
// SAFETY: only one thread at a time uses it.
@safe final class HTTPExchange: @unchecked Sendable {
  /// What is asked.
  struct Request {
    /// The whole address; it may hold a password.
    var url: Secret
    /// The body of a POST; nil asks with GET.
    var body: [UInt8]?
    /// The type of that body.
    var contentType = "application/vnd.schemaregistry.v1+json"
    /// Who asks.
    var credentials = Credentials()
    /// How long the answer may take.
    var patience = Limits.registryAnswer
  }

  /// Who asks, and whom to believe.
  struct Credentials {
    var user: String?
    var password: Secret?
    var token: Secret?
    var ca: String?
    var certificate: String?
    var key: String?
  }

  /// What came back.
  struct Answer: Hashable, Sendable {
    /// HTTP's status.
    var status: Int
    var body: [UInt8]
  }

  /// Why nothing came back.
  struct Failure: Error, Hashable {
    let why: String
    /// Whether asking again may help.
    let isPassing: Bool
  }

  /// What takes an answer's body.
  private final class Body {
    var bytes: [UInt8] = []
    let limit: Int

    init(limit: Int) { self.limit = limit }
  }

  /// Once in a process, before any thread uses it.
  private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  private let curl: OpaqueCurl

  /// Makes one without a connection; nil when there is no memory.
  init?() {
    guard Self.isReady, let curl = unsafe curl_easy_init() else { return nil }
    unsafe self.curl = OpaqueCurl(curl)
  }

  deinit { unsafe curl_easy_cleanup(curl.handle) }

  /// Asks and waits for the answer.
  func ask(_ request: Request) throws(Failure) -> Answer {
    let handle = unsafe curl.handle
    unsafe curl_easy_reset(handle)
    guard unsafe prepare(handle, request) else {
      throw Failure(why: "libcurl does not take the request", isPassing: false)
    }
    var headers: UnsafeMutablePointer<curl_slist>?
    for line in Self.headers(of: request) {
      guard let longer = unsafe curl_slist_append(headers, line) else { continue }
      unsafe headers = longer
    }
    // SAFETY: they live until the request is over.
    defer { unsafe curl_slist_free_all(headers) }
    _ = unsafe ccurl_set_headers(handle, headers)
    let body = Body(limit: Limits.registryAnswerBytes)
    // SAFETY: the body outlives the call, and nothing else writes into it meanwhile.
    let context = unsafe Unmanaged.passUnretained(body).toOpaque()
    _ = unsafe ccurl_set_writer(
      handle,
      { bytes, size, count, context in
        guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
        let body = unsafe Unmanaged<Body>.fromOpaque(context).takeUnretainedValue()
        let length = size * count
        guard body.bytes.count + length <= body.limit else { return 0 }
        unsafe body.bytes.append(
          contentsOf: UnsafeRawBufferPointer(start: bytes, count: length))
        return length
      }, context)
    let code = unsafe curl_easy_perform(handle)
    withExtendedLifetime(body) {}
    guard code == CURLE_OK else { throw Self.failure(code) }
    return Answer(status: Int(unsafe ccurl_status(handle)), body: body.bytes)
  }

  private func prepare(_ handle: UnsafeMutableRawPointer, _ request: Request) -> Bool {
    var texts: [(CURLoption, String?)] = [
      (CURLOPT_URL, request.url.revealed), (CURLOPT_PROTOCOLS_STR, "http,https"),
      (CURLOPT_USERAGENT, "psql-streamer"), (CURLOPT_CAINFO, request.credentials.ca),
      (CURLOPT_SSLCERT, request.credentials.certificate),
      (CURLOPT_SSLKEY, request.credentials.key),
    ]
    if let user = request.credentials.user {
      texts.append((CURLOPT_USERNAME, user))
      texts.append((CURLOPT_PASSWORD, request.credentials.password?.revealed ?? ""))
    }
    for (option, text) in texts {
      guard let text else { continue }
      guard unsafe ccurl_set_text(handle, option, text) == CURLE_OK else { return false }
    }
    let numbers: [(CURLoption, Int)] = [
      (CURLOPT_NOSIGNAL, 1), (CURLOPT_FOLLOWLOCATION, 0),
      (CURLOPT_CONNECTTIMEOUT_MS, Limits.registryConnect.milliseconds),
      (CURLOPT_TIMEOUT_MS, request.patience.milliseconds),
    ]
    for (option, number) in numbers {
      guard unsafe ccurl_set_number(handle, option, number) == CURLE_OK else { return false }
    }
    guard let body = request.body else { return true }
    // SAFETY: libcurl copies the bytes.
    return unsafe body.withUnsafeBytes { bytes in
      unsafe ccurl_set_body(handle, bytes.baseAddress, bytes.count) == CURLE_OK
    }
  }

  private static func headers(of request: Request) -> [String] {
    // Without a wait for "100 Continue", which many servers do not send.
    var lines = ["Accept: application/vnd.schemaregistry.v1+json, application/json", "Expect:"]
    if request.body != nil { lines.append("Content-Type: \(request.contentType)") }
    if let token = request.credentials.token {
      lines.append("Authorization: Bearer \(token.revealed)")
    }
    return lines
  }

  private static func failure(_ code: CURLcode) -> Failure {
    // SAFETY: libcurl's own text, which lives as long as the process.
    let text = unsafe String(cString: curl_easy_strerror(code))
    let isFinal = [
      CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_URL_MALFORMAT,
      CURLE_UNSUPPORTED_PROTOCOL, CURLE_WRITE_ERROR,
    ].contains(code)
    return Failure(
      why: code == CURLE_WRITE_ERROR ? "its answer is too large" : text, isPassing: !isFinal)
  }

  /// Writes a text so that it can stand between two slashes of an address.
  static func escaped(_ text: String) -> String {
    var escaped = ""
    for byte in text.utf8 {
      let scalar = Unicode.Scalar(byte)
      switch scalar {
      case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_", "~":
        escaped.unicodeScalars.append(scalar)
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        escaped += "%" + (byte < 16 ? "0" : "") + digits
      }
    }
    return escaped
  }
}

/// A handle of libcurl.
@safe private struct OpaqueCurl {
  let handle: UnsafeMutableRawPointer

  init(_ handle: UnsafeMutableRawPointer) { unsafe self.handle = handle }
}

extension Duration {
  /// Whole milliseconds.
  fileprivate var milliseconds: Int {
    Int(components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000)
  }
}
