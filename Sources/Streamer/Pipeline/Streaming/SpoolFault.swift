import PGWire

/// Why open transactions cannot be kept: the next connection does without streaming.
enum SpoolFault: Error, Hashable {
  /// No file could be made in the directory; the errno.
  case open(String, CInt)
  /// Writing failed: the disk is full, as a rule.
  case write(CInt)
  /// What was written could not be read.
  case read(CInt)
  /// The files would take more than the limit, in bytes.
  case limit(Int)
  /// A logical message stands where the wire does not tell whether it was rolled back.
  case messageBeforeRollback(xid: UInt32)
}

extension SpoolFault: CustomStringConvertible {
  /// Why, in one clause.
  var description: String {
    switch self {
    case .open(let directory, let code):
      "no spool file can be made in \(directory): \(SystemCall.text(of: code))"
    case .write(let code): "the spool cannot be written: \(SystemCall.text(of: code))"
    case .read(let code): "the spool cannot be read: \(SystemCall.text(of: code))"
    case .limit(let bytes):
      "open transactions take more than the spool's limit of \(ByteSize(bytes))"
    case .messageBeforeRollback(let xid):
      "the stream does not tell which logical messages of transaction \(xid) were rolled back"
    }
  }
}
