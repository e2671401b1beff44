enum CheckCommand {
  static func run(configuration: String, json: Bool) throws(StreamerError) -> Int32 { 1 }
}
