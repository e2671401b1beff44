/// PostgreSQL's MD5 password method (manual: "Message Flow", AuthenticationMD5Password).
enum MD5Password {
  /// `"md5" + md5hex(md5hex(password + user) + salt)`.
  static func hash(
    user: String, password: [UInt8], salt: [UInt8]
  ) throws(PGError) -> [UInt8] {
    let stored = hexadecimal(try Digest.md5(password + Array(user.utf8)))
    return Array("md5".utf8) + hexadecimal(try Digest.md5(stored + salt))
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 0xF)])
    }
    return text
  }
}
