import PGWire

/// The settings that a source's sessions ask for in the startup packet, which overrides what role
/// and database say.
///
/// A setting that the server does not know, or not for one session, is FATAL there: those of later
/// versions wait until an ordinary connection has told the version. wal_sender_timeout (of a
/// session from 12) and logical_decoding_work_mem (from 13) are left to the server: status updates
/// follow whatever the timeout is.
enum SessionSettings {
  /// Settings of every version since 10 that make values readable (postgres-protocol.md §6).
  ///
  /// Versions 10 and 11 write floating-point numbers with extra_float_digits = 3 exactly but not in
  /// the shortest form: 0.1 reads 0.100000000000000006.
  private static let always: [(name: String, value: String)] = [
    ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"), ("IntervalStyle", "postgres"),
    ("extra_float_digits", "3"), ("bytea_output", "hex"), ("TimeZone", "UTC"),
    ("lc_monetary", "C"), ("search_path", ""), ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
  ]

  /// The settings for a server; those of every version when it is not known yet.
  ///
  /// A database in SQL_ASCII converts nothing and refuses to send as UTF8 what is none: from it,
  /// with `asBytes`, values come as they are, and are looked at here.
  static func startup(
    for server: ServerVersion?, asBytes: Bool = false
  ) -> [(name: String, value: String)] {
    let always = asBytes ? [("client_encoding", "SQL_ASCII")] + always.dropFirst() : always
    guard let server, ServerFeature.idleSessionTimeout.isAvailable(on: server) else {
      return always
    }
    // The connection for look-ups idles as long as no table is new.
    return always + [("idle_session_timeout", "0")]
  }
}
