/// What this client demands of the way it is let in.
struct AuthenticationRules: Sendable {
  /// Whether SCRAM must be tied to TLS.
  var channelBinding = ChannelBinding.prefer
  /// The methods that are allowed; nil for all.
  var required: RequiredAuthentication?
  /// What became of the client's certificate; nil when it need not have been asked for.
  var requiredCertificate: CertificateUse?

  /// What became of the client's certificate in the TLS handshake.
  struct CertificateUse: Hashable, Sendable {
    /// Whether the server asked for one.
    var isRequested = false
    /// Whether there was one to give.
    var isSent = false
  }

  /// Checks a request before it is answered.
  func check(_ request: AuthenticationRequest) throws(PGError) {
    try required?.check(request)
  }

  /// Checks that all demands are met when the server is content.
  ///
  /// `isComplete` tells whether a method was carried out, `isBound` whether it was tied to TLS.
  func checkEnd(isComplete: Bool, isBound: Bool) throws(PGError) {
    try required?.checkEnd(isComplete: isComplete)
    if let use = requiredCertificate {
      guard use.isRequested else {
        throw .authentication(
          "sslcertmode=require, but the server did not request an SSL certificate. Set ssl_ca_file "
            + "and clientcert there, and use TLS")
      }
      guard use.isSent else {
        throw .authentication(
          "sslcertmode=require, but the server accepted the connection without a certificate. Set "
            + "sslcert and sslkey")
      }
    }
    guard channelBinding != .require || isBound else {
      throw .authentication(
        "channel_binding=require, but the server let the client in without it. Use scram-sha-256 "
          + "in pg_hba.conf")
    }
  }
}
