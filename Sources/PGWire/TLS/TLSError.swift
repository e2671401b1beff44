import COpenSSL

/// Texts for what OpenSSL reports.
enum TLSError {
  /// The reason of the oldest error in this thread's queue, which is emptied.
  static func takeReason() -> String? {
    let code = ERR_get_error()
    ERR_clear_error()
    guard code != 0 else { return nil }
    // SAFETY: OpenSSL returns a constant text or nil.
    if let text = unsafe ERR_reason_error_string(code) { return unsafe String(cString: text) }
    // Errors of the system carry errno instead of a reason.
    return systemError(Int32(truncatingIfNeeded: code & 0xFF))
  }

  /// The alert that the peer has sent, by its number (RFC 8446, 6), if that is the oldest error in this
  /// thread's queue; nil for any other.
  static var alert: Int32? {
    let number = ERR_GET_REASON(ERR_peek_error()) - SSL_AD_REASON_OFFSET
    return number >= 0 ? number : nil
  }

  /// Whether an alert speaks of bytes that make no sense, and of nobody's certificate.
  static func isOfBytes(_ alert: Int32) -> Bool {
    switch alert {
    case SSL_AD_UNEXPECTED_MESSAGE, SSL_AD_BAD_RECORD_MAC, SSL_AD_RECORD_OVERFLOW,
      SSL_AD_ILLEGAL_PARAMETER, SSL_AD_DECODE_ERROR, SSL_AD_DECRYPT_ERROR:
      true
    default: false
    }
  }

  /// What a failed verification means and what to do about it.
  static func certificateRefused(
    _ result: Int, trust: TLSConfiguration.Trust?
  ) -> PGError {
    let store =
      switch trust {
      case .file(let path): "sslrootcert (\(path))"
      case .system: "the system's store of authorities"
      case nil: "sslrootcert"
      }
    switch Int32(truncatingIfNeeded: result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
      X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
      X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return .tls(
        "the server's certificate is signed by an authority that \(store) does not hold. Put the "
          + "certificate of that authority there")
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return .tls("the server's certificate, or one above it, has expired. Renew it")
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return .tls("the server's certificate is not valid yet. Check the clocks of both machines")
    case X509_V_ERR_CERT_REVOKED:
      return .tls("the server's certificate has been revoked. Give the server a new one")
    case X509_V_ERR_UNABLE_TO_GET_CRL:
      return .tls("sslcrl has no list of the authority that signed the certificate. Add it")
    default:
      // SAFETY: OpenSSL returns a constant text.
      let reason = unsafe X509_verify_cert_error_string(result).map { unsafe String(cString: $0) }
      return .tls("the server's certificate was refused: \(reason ?? "error \(result)")")
    }
  }
}
