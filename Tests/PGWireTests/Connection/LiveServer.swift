import Glibc
import PGWire
import Support

/// A PostgreSQL server of its own for these tests, with every authentication method and TLS.
///
/// It is started once and stopped by a watchdog as soon as the test process is gone, however that
/// happens. It needs root (servers do not run as root, so runuser changes the user), runuser,
/// openssl and the server's programs.
final class LiveServer: Sendable {
  /// The directory with data, socket and certificates.
  let directory: String
  /// The port on 127.0.0.1, also in the socket's name.
  let port: UInt16

  private enum Outcome: Sendable {
    case started(LiveServer)
    case unavailable(String)
  }

  private static let outcome = start()

  /// The server; nil, with the reason printed, where it cannot be had.
  static var shared: LiveServer? {
    switch outcome {
    case .started(let server): return server
    case .unavailable(let reason):
      print("skipped: no PostgreSQL server for the tests: \(reason)")
      return nil
    }
  }

  /// Whether the tests can run; evaluated by `.enabled(if:)`.
  static var isAvailable: Bool { !Requirement.isUnitRun && shared != nil }

  private init(directory: String, port: UInt16) {
    self.directory = directory
    self.port = port
  }

  /// A file among the certificates.
  func tls(_ name: String) -> String { "\(directory)/tls/\(name)" }

  /// Connection parameters from keywords and values; without a host it is 127.0.0.1.
  func parameters(_ text: String) throws -> ConnectionParameters {
    var text = "dbname=postgres port=\(port) " + text
    if !text.contains("host=") && !text.contains("hostaddr=") { text += " host=127.0.0.1" }
    return try ConnectionParameters(ConnectionString(text))
  }

  private static func start() -> Outcome {
    guard geteuid() == 0 else { return .unavailable("this process is not root") }
    for tool in ["/usr/sbin/runuser", "/usr/bin/openssl"]
    where unsafe access(tool, X_OK) != 0 { return .unavailable("\(tool) is missing") }
    let versions = ["18", "17", "16", "15", "14", "13"]
    let folder = versions.map { "/usr/lib/postgresql/\($0)/bin" }
      .first { unsafe access($0 + "/postgres", X_OK) == 0 }
    guard let folder else { return .unavailable("/usr/lib/postgresql/*/bin/postgres is missing") }
    var template = Array("/tmp/pgwire-live-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { return .unavailable("mkdtemp failed") }
    let directory = String(
      decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let port = Listener.freePort() else { return .unavailable("there is no free port") }
    let path = directory + "/start.sh"
    guard let file = unsafe fopen(path, "w") else { return .unavailable("cannot write \(path)") }
    _ = unsafe fputs(script, file)
    _ = unsafe fclose(file)
    signal(SIGPIPE, SIG_IGN)
    let status = unsafe system(
      "sh \(path) \(folder) \(directory) \(port) \(getpid()) >\(directory)/start.log 2>&1")
    guard status == 0 else {
      _ = unsafe system("cat \(directory)/start.log \(directory)/server.log")
      return .unavailable("the server did not start")
    }
    return .started(LiveServer(directory: directory, port: port))
  }

  private static let script = """
    set -eu
    bin=$1 dir=$2 port=$3 parent=$4
    mkdir $dir/tls; cd $dir/tls
    key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    for ca in ca other; do
      openssl req -x509 $key -subj /CN=$ca -keyout $ca.key -out $ca.crt -days 2
    done
    sign() { # name, subject, extension
      openssl req -new $key -subj "/CN=$2" -keyout $1.key -out $1.csr
      echo "$3" >$1.ext
      openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \\
        -extfile $1.ext -out $1.crt
    }
    sign server localhost subjectAltName=DNS:localhost
    # One certificate for each way to hash its signature (channel binding).
    hashed() { # name, digest, key algorithm, further arguments of its parameters
      n=$1 d=$2 a=$3; shift 3
      openssl genpkey -algorithm $a "$@" -out $n.key
      openssl req -x509 -new -key $n.key $d -subj /CN=localhost -days 2 -out $n.crt
    }
    hashed rsa1 -sha1 RSA
    hashed rsa384 -sha384 RSA
    hashed pss -sha512 RSA-PSS -pkeyopt rsa_pss_keygen_md:sha512
    hashed ec512 -sha512 EC -pkeyopt ec_paramgen_curve:P-521
    hashed ed25519 "" ED25519
    printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index\\ndefault_md=sha256\\ncrlnumber=number\\n' >ca.cnf
    : >index; echo 01 >number
    authority="openssl ca -config ca.cnf -keyfile ca.key -cert ca.crt"
    $authority -gencrl -crldays 2 -out empty.crl
    $authority -revoke server.crt
    $authority -gencrl -crldays 2 -out revoked.crl
    sign client cert_user basicConstraints=CA:FALSE
    openssl ec -aes256 -passout pass:opens -in client.key -out encrypted.key
    cp client.key open.key; chmod 0644 open.key
    chmod 0600 client.key encrypted.key server.key rsa*.key pss.key e*.key
    chown -R postgres $dir
    as() { runuser -u postgres -- "$@"; }
    as $bin/initdb -D $dir/data -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8
    cat >>$dir/data/postgresql.conf <<END
    port = $port
    listen_addresses = '127.0.0.1'
    unix_socket_directories = '$dir'
    wal_level = logical
    fsync = off
    ssl = on
    ssl_cert_file = '$dir/tls/server.crt'
    ssl_key_file = '$dir/tls/server.key'
    ssl_ca_file = '$dir/tls/ca.crt'
    END
    cat >$dir/data/pg_hba.conf <<END
    local all all trust
    host all trust_user all trust
    host all clear_user all password
    host all md5_user all md5
    hostssl all cert_user all cert
    hostssl all tls_user all scram-sha-256
    hostnossl all plain_user all trust
    host all all all scram-sha-256
    END
    as $bin/pg_ctl -D $dir/data -l $dir/server.log -w start
    as $bin/psql -h $dir -p $port -v ON_ERROR_STOP=1 -f - postgres postgres <<END
    CREATE ROLE trust_user LOGIN REPLICATION;
    CREATE ROLE plain_user LOGIN;
    CREATE ROLE cert_user LOGIN;
    CREATE ROLE clear_user LOGIN PASSWORD 'clear secret';
    CREATE ROLE scram_user LOGIN PASSWORD 'scram secret';
    CREATE ROLE tls_user LOGIN PASSWORD 'tls secret';
    CREATE ROLE prepared_user LOGIN PASSWORD U&'\\2168\\00AD\\00AA e\\0301';
    CREATE ROLE raw_user LOGIN PASSWORD U&'\\0627\\0031';
    SET password_encryption = 'md5';
    CREATE ROLE md5_user LOGIN PASSWORD 'md5 secret';
    END
    (while kill -0 $parent; do sleep 1; done
     runuser -u postgres -- $bin/pg_ctl -D $dir/data -m immediate stop
     rm -r $dir) </dev/null >/dev/null 2>&1 &
    """
}
