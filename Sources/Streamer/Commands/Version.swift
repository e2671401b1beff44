import KafkaBridge
import PGWire

/// The program's version and those of the libraries it runs with.
enum Version {
  /// The version of this program, by semver.org.
  static let number = "0.1.0"

  /// What `--version` prints.
  static var text: String {
    "psql-streamer \(number) (librdkafka \(KafkaVersion.text), \(TLSLibrary.version))"
  }
}
