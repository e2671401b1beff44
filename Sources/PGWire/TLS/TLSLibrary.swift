import COpenSSL

/// The TLS library that the process runs with.
public enum TLSLibrary {
  /// Its name and version, such as "OpenSSL 3.0.19".
  public static var version: String {
    guard let text = unsafe OpenSSL_version(OPENSSL_VERSION) else { return "OpenSSL" }
    // The library's text goes on with a date.
    return unsafe String(cString: text).split(separator: " ").prefix(2).joined(separator: " ")
  }
}
