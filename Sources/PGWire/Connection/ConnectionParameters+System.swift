import Glibc

/// What connection parameters take from the operating system.
extension ConnectionParameters {
  /// The environment of this process.
  ///
  /// Without `HOME` it has the home directory that the system knows for the user, as in libpq.
  public static func processEnvironment() -> [String: String] {
    var variables: [String: String] = [:]
    // SAFETY: environ is a list of C strings that ends with nil; nobody changes it while we read,
    // since this program never calls setenv after its start.
    var entry = unsafe environ
    while let text = unsafe entry.pointee {
      let pair = unsafe String(cString: text)
      if let equals = pair.firstIndex(of: "=") {
        variables[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
      }
      unsafe entry += 1
    }
    if variables["HOME"] == nil { variables["HOME"] = accountEntry(geteuid())?.home }
    return variables
  }

  /// The name of a user, by default the one this process runs as.
  static func operatingSystemUser(_ number: uid_t = geteuid()) -> String? {
    accountEntry(number)?.name
  }

  /// What the system's list of users says about one.
  private static func accountEntry(_ number: uid_t) -> (name: String, home: String?)? {
    var entry = unsafe passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 4096)
    // SAFETY: the entry's strings lie in the buffer, which lives until they are copied.
    return unsafe buffer.withUnsafeMutableBufferPointer { space in
      guard let start = space.baseAddress,
        unsafe getpwuid_r(number, &entry, start, space.count, &found) == 0,
        unsafe found != nil, let name = unsafe entry.pw_name
      else { return nil }
      let home = unsafe entry.pw_dir.map { unsafe String(cString: $0) }
      return unsafe (String(cString: name), home)
    }
  }

  /// The password for one host, from the parameters or else from the passfile.
  ///
  /// A passfile that others may read is ignored, as libpq does; the reason is returned for the log.
  func password(for host: Host) -> (password: String?, warning: String?) {
    if let password { return (password, nil) }
    guard let passfile else { return (nil, nil) }
    switch SmallFile.read(passfile, limit: ConnectionLimits.passfile, isPrivate: true) {
    case .missing: return (nil, nil)
    case .refused(let reason): return (nil, "passfile \(passfile) is ignored: \(reason)")
    case .contents(let bytes):
      let password = Passfile(bytes).password(
        host: host.passfileName, port: host.port, database: database, user: user)
      return (password, nil)
    }
  }
}
