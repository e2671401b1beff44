enum CheckCommand {
  static func run(configuration: String, json: Bool) throws(StreamerError) -> Int32 { 1 }
}
enum TailCommand {
  static func run(_ options: CommandLineRequest.TailOptions) throws(StreamerError) -> Int32 { 1 }
}
enum StatusCommand {
  static func run(url: String, watch: Bool) throws(StreamerError) -> Int32 { 1 }
}
enum MigrateCommand { static func run(_ path: String) throws(StreamerError) -> Int32 { 1 } }
