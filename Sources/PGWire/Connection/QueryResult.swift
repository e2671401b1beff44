/// What one command of a simple query returned.
public struct QueryResult: Hashable, Sendable {
  /// The columns; empty for a command without rows.
  public internal(set) var columns: [RowDescription.Field] = []
  /// The rows as text; nil is NULL.
  public internal(set) var rows: [[String?]] = []
  /// The command tag, such as "SELECT 1"; empty for an empty query.
  public internal(set) var commandTag = ""

  /// The value in the first row of the column with this name.
  ///
  /// Nil when there is no row, no such column, or the value is NULL.
  public subscript(first column: String) -> String? {
    guard let row = rows.first, let index = columns.firstIndex(where: { $0.name == column }),
      index < row.count
    else { return nil }
    return row[index]
  }
}
