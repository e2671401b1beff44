/// Columns of text, as wide as they have to be.
struct TextTable {
  /// One cell: what it says, and how that is coloured on a terminal.
  struct Cell {
    /// The text; control characters do not pass.
    let text: String
    /// Adds escape sequences, which take no room.
    let style: (String) -> String

    /// Makes a cell; without a style it is plain.
    init(_ text: String, _ style: @escaping (String) -> String = { $0 }) {
      self.text = text.singleLine
      self.style = style
    }
  }

  private var rows: [[Cell]]
  private let rightAligned: Set<Int>

  /// Begins with the names of the columns; those in `rightAligned` hold numbers.
  init(_ names: [Cell], rightAligned: Set<Int> = []) {
    rows = [names]
    self.rightAligned = rightAligned
  }

  /// Adds a row with as many cells as there are columns.
  mutating func add(_ row: [Cell]) {
    precondition(row.count == rows[0].count, "a row has a cell for each column")
    rows.append(row)
  }

  /// The lines, parted by newlines; two blanks between columns and none at the end of a line.
  var text: String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].text.count }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let gap = String(repeating: " ", count: widths[column] - cell.text.count)
        let isLast = column == row.count - 1
        if column > 0 { line += "  " }
        if rightAligned.contains(column) {
          line += gap + cell.style(cell.text)
        } else {
          line += cell.style(cell.text) + (isLast ? "" : gap)
        }
      }
      return line
    }.joined(separator: "\n")
  }
}

extension ByteSize {
  /// About how much it is, for people: "512 B", "1.5 MiB".
  var rounded: String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
    where bytes >= 1 << shift {
      let tenths = Int((Double(bytes) / Double(1 << shift) * 10).rounded())
      return tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
    }
    return "\(bytes) B"
  }
}
