/// One column of a row image, as a view of the received bytes (manual: "TupleData").
public enum ColumnValue: ~Escapable {
  /// SQL NULL; in a key-only image also "not part of the key".
  case null
  /// A TOASTed value that the update did not change: the server did not send it.
  case unchangedToast
  /// The type's text output, in the client encoding.
  case text(RawSpan)
  /// The type's binary send format.
  case binary(RawSpan)
}
