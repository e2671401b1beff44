import CRdKafka

/// The version of the librdkafka that is loaded, which may be newer than the one built against.
public enum KafkaVersion {
  /// The version as text, "2.0.2".
  public static var text: String {
    // SAFETY: a static text of the library.
    unsafe String(cString: rd_kafka_version_str())
  }

  /// The version as a number, 0xMMmmrrpp: major, minor, revision, 0xff for a release.
  public static var number: UInt32 { UInt32(bitPattern: rd_kafka_version()) }

  /// What the version that is loaded is known to do wrong to records or to the process; nil of others.
  public static var knownFault: String? { fault(of: number) }

  /// What to do about it.
  public static var remedy: String {
    "Take a newer one: a librdkafka.so.1 that the loader finds first serves the same binary."
  }

  /// What a version is known to do wrong, by its change log.
  static func fault(of number: UInt32) -> String? {
    switch number {
    case 0x0202_0000..<0x0205_0000:
      "may repeat a batch otherwise than it was, so that records are lost or come twice"
    case 0x0205_0000..<0x0205_0100: "can end the process when it sends telemetry"
    case 0x020a_0000..<0x020a_0100: "may connect again and again without an end"
    default: nil
    }
  }

  /// Whether SCRAM works with Kafka 4: before 2.6.1 the client checks its nonce wrongly, and
  /// authentication fails with the right password.
  static var scramWorks: Bool { number >= 0x0206_01ff }

  /// Whether a member that joined a cooperative group and got no partitions yet can be destroyed:
  /// before 2.3.0 that is an assertion that ends the process.
  static var destroysUnassignedMembers: Bool { number >= 0x0203_00ff }
}
