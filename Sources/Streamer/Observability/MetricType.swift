/// The values of the labels `sourceType` and `sinkType`, as the old psql-streamer had them.
enum MetricType {
  /// A source's label for its type in the configuration.
  static func source(_ type: String) -> String {
    type == "postgres" ? "Source-PSQL" : "Source-" + capitalized(type)
  }

  /// A sink's label for its type in the configuration; all stubs are one type.
  static func sink(_ type: String) -> String {
    type.hasPrefix("stub") ? "Sink-Stub" : "Sink-" + capitalized(type)
  }

  private static func capitalized(_ type: String) -> String {
    type.prefix(1).uppercased() + type.dropFirst()
  }
}
