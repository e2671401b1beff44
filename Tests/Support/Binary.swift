import Glibc

/// The programs that were built together with the tests.
public enum Binary {
  /// The path of psql-streamer: `PSQL_STREAMER_BINARY`, or the one beside the test bundle.
  public static var psqlStreamer: String {
    TestEnvironment["PSQL_STREAMER_BINARY"] ?? "\(directory)/psql-streamer"
  }

  /// The project's folder.
  public static var project: String {
    #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/\($1)" }
  }

  private static var directory: String {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = unsafe readlink("/proc/self/exe", &path, path.count)
    let bytes = path[..<max(length, 0)].map { UInt8(bitPattern: $0) }
    let whole = String(decoding: bytes, as: UTF8.self)
    return whole.split(separator: "/").dropLast().reduce(into: "") { $0 += "/\($1)" }
  }
}
