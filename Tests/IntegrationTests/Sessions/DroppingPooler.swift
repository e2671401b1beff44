import Support

/// A pooler that passes a session on and drops what it does not know of the startup packet, or
/// refuses it in pgbouncer's words.
final class DroppingPooler {
  let port: Int
  private let process: Subprocess

  init(before server: PostgresServer, refusing: Bool = false) throws {
    port = try FreePort.take()
    process = try Subprocess(
      "python3", ["-c", Self.program, "\(port)", "\(server.port)", refusing ? "refusing" : ""])
    let port = port
    try eventually("the pooler") {
      (try? Subprocess.check(
        "python3",
        ["-c", "import socket, sys; socket.create_connection(('127.0.0.1', \(port))).close()"]))
        != nil
    }
  }

  private static let program = """
    import socket, struct, sys, threading
    def whole(s, n):
        data = b''
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more: raise EOFError
            data += more
        return data
    def pump(a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data: break
                b.sendall(data)
        except OSError: pass
        for s in (a, b):
            try: s.shutdown(socket.SHUT_RDWR)
            except OSError: pass
    def serve(client):
        try:
            while True:
                length, code = struct.unpack('!II', whole(client, 8))
                rest = whole(client, length - 8)
                if code == 80877103: client.sendall(b'N')
                else: break
            if code == 196608:
                if sys.argv[3]:
                    text = b'SFATAL\\0C08P01\\0Munsupported startup parameter: statement_timeout\\0\\0'
                    client.sendall(b'E' + struct.pack('!I', len(text) + 4) + text)
                    return client.close()
                words = rest.split(b'\\0')
                kept = [(k, v) for k, v in zip(words[::2], words[1::2])
                        if k in (b'user', b'database', b'replication')]
                rest = b''.join(k + b'\\0' + v + b'\\0' for k, v in kept) + b'\\0'
            server = socket.create_connection(('127.0.0.1', int(sys.argv[2])))
            server.sendall(struct.pack('!II', len(rest) + 8, code) + rest)
        except (EOFError, OSError): return client.close()
        threading.Thread(target=pump, args=(client, server), daemon=True).start()
        threading.Thread(target=pump, args=(server, client), daemon=True).start()
    listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
    while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    """
}
