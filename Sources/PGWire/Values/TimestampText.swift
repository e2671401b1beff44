/// What shape a `date`'s or `timestamp`'s text has in the ISO DateStyle (manual: "Date/Time
/// Output").
///
///     2024-02-29 12:34:56.789   2024-02-29 12:34:56+00   infinity   0044-03-15 00:00:00 BC
///
/// Only the common form is told apart: a year of four digits and no era. The others have no ISO
/// 8601 form that readers agree on, so they stay PostgreSQL's own text.
public enum TimestampText {
  /// The offset of the space between date and time.
  public static let separatorOffset = 10

  /// What follows the time of day.
  public enum Zone: Hashable, Sendable {
    /// Nothing: a `timestamp`.
    case none
    /// `+00`.
    case utc
    /// An offset of whole hours, `+05`.
    case hours
    /// An offset with minutes, `+05:30`, or with seconds, `+00:19:32`.
    case long
  }

  /// The zone of a timestamp in the common form, or nil for every other text.
  ///
  /// That it is the common form is checked by its punctuation; the digits are not looked at.
  public static func zone(of text: RawSpan) -> Zone? {
    let count = text.byteCount
    guard count >= 19, text[4] == Ascii.minus, text[7] == Ascii.minus,
      text[separatorOffset] == Ascii.space, text[13] == Ascii.colon, text[16] == Ascii.colon,
      Ascii.isDigit(text[count &- 1])
    else { return nil }
    var sign = count &- 1
    while sign >= 19 {
      let byte = text[sign]
      if byte == Ascii.plus || byte == Ascii.minus { break }
      sign &-= 1
    }
    guard sign >= 19 else { return Zone.none }
    guard count &- sign == 3 else { return .long }
    return text[sign] == Ascii.plus && text[sign &+ 1] == Ascii.zero
      && text[sign &+ 2] == Ascii.zero ? .utc : .hours
  }
}
