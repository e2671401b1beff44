import CMicroHTTPD
import Glibc
import Synchronization

/// The HTTP server for health, status and metrics.
///
/// libmicrohttpd runs it in a few threads of its own, so that a probe does not wait for a scrape;
/// what it answers is decided by ``AdminRoutes``. A class, because the server's threads refer to it.
@safe final class AdminServer {
  /// The port that it listens on, also when the system has chosen it.
  let port: UInt16
  /// Whether only this machine can reach it.
  let isLoopback: Bool

  // The server's thread borrows it until the daemon has stopped.
  private let context: AdminContext
  private var daemon: OpaquePointer?
  private let stopping: EventDescriptor
  private var clock: PosixThread?
  private var gate: PosixThread?

  /// Listens and starts to answer.
  ///
  /// Without `token` nothing can be changed through an address that others can reach.
  ///
  /// Throws `StreamerError` when the port is in use or the address is not this machine's.
  init(
    _ address: HTTPAddress, status: any StatusSource, metrics: Metrics, version: String,
    token: String? = nil, readyWhenStandby: Bool = false, limits: AdminLimits = AdminLimits()
  ) throws(StreamerError) {
    stopping = try EventDescriptor()
    let socket = try ListeningSocket(address)
    port = socket.port
    isLoopback = socket.isLoopback
    context = AdminContext(
      limits: limits,
      routes: AdminRoutes(
        status: status, metrics: metrics,
        process: ProcessMetrics(metrics, version: version),
        states: StateMetrics(metrics, status), version: version, token: token,
        readyWhenStandby: readyWhenStandby, isLoopback: socket.isLoopback))
    // SAFETY: the context lives until stop() has ended the threads that use it.
    unsafe daemon = cmicrohttpd_start(
      answerRequest, connectionChanged, requestCompleted,
      Unmanaged.passUnretained(context).toOpaque(), limits.threads, limits.connections,
      limits.timeoutSeconds, limits.requestBytes)
    guard let daemon = unsafe daemon else {
      throw StreamerError(what: "HTTP on \"\(address)\"", why: "the server did not start")
    }
    let running = unsafe AdminDaemon(daemon)
    var waiting: AdminGate? = try AdminGate(
      socket, stopping: stopping.descriptor, headBytes: limits.requestBytes,
      connections: context.connections, admit: running.admit)
    let box = AdminGateBox(waiting.take())
    gate = try PosixThread(name: "http-gate") { box.run() }
    clock = try PosixThread(name: "http-age") { [stopping = stopping.descriptor, context] in
      var entry = pollfd(fd: stopping, events: Int16(POLLIN), revents: 0)
      while unsafe poll(&entry, 1, AdminLimits.clockMilliseconds) <= 0 {
        context.connections.expire(now: .now)
      }
    }
  }

  deinit { stop() }

  /// From now on requests that change something need this bearer token, like ``init``'s.
  func setToken(_ token: String?) { context.token.withLock { $0 = token } }

  /// Closes all connections and returns when the server's thread has ended; more calls do
  /// nothing.
  func stop() {
    stopping.signal()
    if let clock = clock.take() { clock.join() }
    // Nobody gives the server a connection any more when it is stopped.
    if let gate = gate.take() { gate.join() }
    guard let running = unsafe daemon else { return }
    unsafe daemon = nil
    unsafe MHD_stop_daemon(running)
  }
}

/// The C server, for whoever gives it connections.
// SAFETY: the library's own call for that may come from any thread.
@safe private final class AdminDaemon: @unchecked Sendable {
  private let daemon: OpaquePointer

  init(_ daemon: OpaquePointer) { unsafe self.daemon = daemon }

  @Sendable func admit(_ descriptor: CInt) { unsafe cmicrohttpd_add(daemon, descriptor) }
}

/// A gate on its way to its thread.
// SAFETY: the thread that made it gives it away, and only the gate's own uses it from then on.
private final class AdminGateBox: @unchecked Sendable {
  private var gate: AdminGate?

  init(_ gate: consuming AdminGate?) { self.gate = consume gate }

  func run() {
    gate?.run()
    gate = nil
  }
}

/// What the C callbacks are given.
private final class AdminContext: Sendable {
  let token: Mutex<String?>
  private let routes: AdminRoutes
  let connections: AdminConnections
  let scrapes: AdminScrapes

  init(limits: AdminLimits, routes: AdminRoutes) {
    token = Mutex(routes.token)
    self.routes = routes
    connections = AdminConnections(limits)
    scrapes = AdminScrapes(limit: limits.scrapes)
  }

  /// The answer to a request and what has to be told when it is sent.
  func answer(_ request: AdminRequest) -> (AdminResponse, AdminScrapes.Scrape?) {
    var routes = routes
    routes.token = token.withLock(\.self)
    guard request.path == AdminRoutes.metricsPath else { return (routes.answer(request), nil) }
    guard let scrape = scrapes.begin() else {
      let busy = AdminResponse.text(503, "Too many scrapes are under way.")
      return (busy.with("Retry-After", "1"), nil)
    }
    return (routes.answer(request), scrape)
  }
}

/// libmicrohttpd tells that a connection has begun or ended.
private func connectionChanged(
  context: UnsafeMutableRawPointer?, connection: OpaquePointer?,
  socketContext: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
  change: MHD_ConnectionNotificationCode
) {
  guard let context = unsafe context, let connection = unsafe connection else { return }
  // SAFETY: the server keeps its context until its threads have ended.
  let connections = unsafe Unmanaged<AdminContext>.fromOpaque(context).takeUnretainedValue()
    .connections
  let descriptor = unsafe cmicrohttpd_descriptor(connection)
  if change == .CONNECTION_NOTIFY_STARTED {
    connections.opened(descriptor, now: .now)
  } else {
    connections.closed(descriptor)
  }
}

/// libmicrohttpd tells that an answer is sent, or given up.
private func requestCompleted(
  context: UnsafeMutableRawPointer?, connection: OpaquePointer?,
  request: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, how: MHD_RequestTerminationCode
) {
  guard let context = unsafe context, let connection = unsafe connection else { return }
  if let request = unsafe request, let upload = unsafe request.pointee {
    unsafe request.pointee = nil
    // SAFETY: it was retained when the request began.
    unsafe Unmanaged<AdminUpload>.fromOpaque(upload).release()
  }
  // SAFETY: the server keeps its context until its threads have ended.
  unsafe Unmanaged<AdminContext>.fromOpaque(context).takeUnretainedValue()
    .connections.answered(cmicrohttpd_descriptor(connection), now: .now)
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
  let isUnambiguous = unsafe cmicrohttpd_is_unambiguous(connection) != 0
  let path = unsafe String(cString: url)
  let takesBody = verb == "POST" && AdminRoutes.isOfCopies(path)
  var body: [UInt8]? = []
  // A GET is answered at its end, and what takes a body; anything else at once, without reading one.
  if isUnambiguous, verb == "GET" || verb == "HEAD" || takesBody {
    guard let begun = unsafe request.pointee else {
      unsafe request.pointee = Unmanaged.passRetained(AdminUpload()).toOpaque()
      return .YES
    }
    // SAFETY: it is released when the request is over.
    let received = unsafe Unmanaged<AdminUpload>.fromOpaque(begun).takeUnretainedValue()
    if let uploadSize = unsafe uploadSize, unsafe uploadSize.pointee > 0 {
      if takesBody {
        unsafe received.add(UnsafeRawBufferPointer(start: upload, count: uploadSize.pointee))
      }
      unsafe uploadSize.pointee = 0
      return .YES
    }
    body = received.bytes
  }
  // SAFETY: the server keeps its context until this thread has ended.
  let server = unsafe Unmanaged<AdminContext>.fromOpaque(context).takeUnretainedValue()
  func header(_ name: String) -> String? {
    // SAFETY: the text lives as long as the request; it is copied here.
    unsafe cmicrohttpd_header(connection, name).map { unsafe String(cString: $0) }
  }
  unsafe server.connections.answering(cmicrohttpd_descriptor(connection), now: .now)
  let (response, scrape) = server.answer(
    AdminRequest(
      method: verb, path: path, authorization: header("Authorization"),
      host: header("Host"), origin: header("Origin"), fetchSite: header("Sec-Fetch-Site"),
      body: body, isUnambiguous: isUnambiguous))
  return unsafe queue(response, scrape, on: connection)
}

/// What a request brings, as it comes.
// SAFETY: one thread of the server at a time has the request that it belongs to.
private final class AdminUpload: @unchecked Sendable {
  /// Its bytes so far; nil when they are too many.
  private(set) var bytes: [UInt8]? = []

  func add(_ part: UnsafeRawBufferPointer) {
    let isTooLong = (bytes?.count ?? 0) + part.count > Limits.adminBody
    if isTooLong { bytes = nil }
    unsafe bytes?.append(contentsOf: part)
  }
}

private func queue(
  _ response: AdminResponse, _ scrape: AdminScrapes.Scrape?, on connection: OpaquePointer
) -> MHD_Result {
  let body = AdminBody(response.body, scrape)
  // SAFETY: the response holds the body's owner, and gives it back when it is destroyed.
  let owner = unsafe Unmanaged.passRetained(body)
  let made = unsafe cmicrohttpd_response(
    body.bytes.baseAddress, response.body.count, releaseBody, owner.toOpaque())
  guard let made = unsafe made else {
    unsafe owner.release()
    return .NO
  }
  defer { unsafe MHD_destroy_response(made) }
  for (name, value) in response.headers {
    _ = unsafe MHD_add_response_header(made, name, value)
  }
  // One request a connection: only a connection's first bytes come by the gate, which is strict.
  _ = unsafe MHD_add_response_header(made, "Connection", "close")
  return unsafe MHD_queue_response(connection, response.status, made)
}

/// A response's bytes, where they stay until libmicrohttpd has sent them.
// SAFETY: the bytes are written once, before anybody else knows of them.
@safe private final class AdminBody: @unchecked Sendable {
  let bytes: UnsafeMutableRawBufferPointer
  private let scrape: AdminScrapes.Scrape?

  init(_ body: [UInt8], _ scrape: AdminScrapes.Scrape?) {
    self.scrape = scrape
    unsafe bytes = .allocate(byteCount: max(body.count, 1), alignment: 1)
    unsafe bytes.copyBytes(from: body)
  }

  deinit { unsafe bytes.deallocate() }
}

private func releaseBody(owner: UnsafeMutableRawPointer?) {
  guard let owner = unsafe owner else { return }
  // SAFETY: it was retained when the response was made.
  unsafe Unmanaged<AdminBody>.fromOpaque(owner).release()
}
