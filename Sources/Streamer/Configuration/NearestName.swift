/// Finds the name that somebody probably meant.
enum NearestName {
  /// The candidate with the fewest typing slips against `name`, if they are few enough.
  ///
  /// Letter case, hyphens and underscores count nothing; at most one slip in three letters.
  static func of(_ name: String, among candidates: some Sequence<String>) -> String? {
    let wanted = normalized(name)
    var best: (candidate: String, slips: Int)?
    for candidate in candidates {
      let other = normalized(candidate)
      let slips = distance(wanted, other)
      guard slips <= max(1, max(wanted.count, other.count) / 3), slips < other.count else {
        continue
      }
      if best.map({ slips < $0.slips }) ?? true { best = (candidate, slips) }
    }
    return best?.candidate
  }

  private static func normalized(_ name: String) -> [Character] {
    name.lowercased().filter { $0 != "-" && $0 != "_" }
  }

  /// Letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
  static func distance(_ a: [Character], _ b: [Character]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        let replaced = last[j] + (a[i] == b[j] ? 0 : 1)
        var cost = min(replaced, last[j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          cost = min(cost, beforeLast[j - 1] + 1)
        }
        row.append(cost)
      }
      beforeLast = last
      last = row
    }
    return last[b.count]
  }
}
