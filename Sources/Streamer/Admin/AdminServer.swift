import CMicroHTTPD

/// The HTTP server for health, status and metrics.
///
/// libmicrohttpd runs it in one thread of its own; what it answers is decided by
/// ``AdminRoutes``. A class, because the server's thread refers to it.
@safe final class AdminServer {
  /// The bounds of what clients can take.
  enum Limits {
    /// Connections at a time.
    static let connections: UInt32 = 64
    /// Seconds without a byte after which a connection is closed.
    static let timeoutSeconds: UInt32 = 10
    /// Bytes for one request's line and headers.
    static let requestBytes = 32 * 1024
  }

  /// The port that it listens on, also when the system has chosen it.
  let port: UInt16
  /// Whether only this machine can reach it.
  let isLoopback: Bool

  // The server's thread borrows it until the daemon has stopped.
  private let context: AdminContext
  private var daemon: OpaquePointer?

  /// Listens and starts to answer.
  ///
  /// Without `token` nothing can be changed through an address that others can reach.
  ///
  /// Throws `StreamerError` when the port is in use or the address is not this machine's.
  init(
    _ address: HTTPAddress, status: any StatusSource, metrics: Metrics, version: String,
    token: String? = nil, readyWhenStandby: Bool = false
  ) throws(StreamerError) {
    let socket = try ListeningSocket(address)
    port = socket.port
    isLoopback = socket.isLoopback
    context = AdminContext(
      routes: AdminRoutes(
        status: status, metrics: metrics,
        process: ProcessMetrics(metrics, version: version),
        states: StateMetrics(metrics, status), version: version, token: token,
        readyWhenStandby: readyWhenStandby, isLoopback: socket.isLoopback))
    // SAFETY: the context lives until stop() has ended the thread that uses it. The socket goes
    // with the daemon; one that does not start has closed it or ends the process anyway.
    unsafe daemon = cmicrohttpd_start(
      socket.release(), answerRequest, Unmanaged.passUnretained(context).toOpaque(),
      Limits.connections, Limits.timeoutSeconds, Limits.requestBytes)
    guard unsafe daemon != nil else {
      throw StreamerError(what: "HTTP on \"\(address)\"", why: "the server did not start")
    }
  }

  deinit { stop() }

  /// Closes all connections and returns when the server's thread has ended; more calls do
  /// nothing.
  func stop() {
    guard let running = unsafe daemon else { return }
    unsafe daemon = nil
    unsafe MHD_stop_daemon(running)
  }
}

/// What the C callback is given.
private final class AdminContext: Sendable {
  let routes: AdminRoutes

  init(routes: AdminRoutes) { self.routes = routes }
}

/// libmicrohttpd's access handler.
///
/// It is called once when the headers are there and again for the body and its end. A global
/// function belongs to no actor.
private func answerRequest(
  context: UnsafeMutableRawPointer?, connection: OpaquePointer?, url: UnsafePointer<CChar>?,
  method: UnsafePointer<CChar>?, version: UnsafePointer<CChar>?,
  upload: UnsafePointer<CChar>?, uploadSize: UnsafeMutablePointer<Int>?,
  request: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
  guard let context = unsafe context, let connection = unsafe connection,
    let url = unsafe url, let method = unsafe method, let request = unsafe request
  else { return .NO }
  let verb = unsafe String(cString: method)
  // A GET is answered at its end, which keeps the connection; anything else at once, which
  // closes the connection without reading a body.
  if verb == "GET" || verb == "HEAD" {
    if unsafe request.pointee == nil {
      unsafe request.pointee = context
      return .YES
    }
    if let uploadSize = unsafe uploadSize, unsafe uploadSize.pointee > 0 {
      unsafe uploadSize.pointee = 0
      return .YES
    }
  }
  // SAFETY: the server keeps its context until this thread has ended.
  let routes = unsafe Unmanaged<AdminContext>.fromOpaque(context).takeUnretainedValue().routes
  let header = unsafe cmicrohttpd_header(connection, "Authorization")
  let response = unsafe routes.answer(
    AdminRequest(
      method: verb, path: String(cString: url),
      authorization: header.map { unsafe String(cString: $0) }))
  return unsafe queue(response, on: connection)
}

private func queue(_ response: AdminResponse, on connection: OpaquePointer) -> MHD_Result {
  // SAFETY: the body is copied by the call.
  let made = unsafe response.body.withUnsafeBytes { body in
    unsafe cmicrohttpd_response(body.baseAddress, body.count)
  }
  guard let made = unsafe made else { return .NO }
  defer { unsafe MHD_destroy_response(made) }
  for (name, value) in response.headers {
    _ = unsafe MHD_add_response_header(made, name, value)
  }
  return unsafe MHD_queue_response(connection, response.status, made)
}
