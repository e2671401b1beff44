/// The counters of one table: looked up once for each Relation message.
///
/// Whoever holds it keeps the table's series; when nobody does, they go after a while.
struct TableMetrics: Sendable {
  let source: SourceTableMetrics
  let sinks: [SinkTableMetrics]
  /// Tells the book that the table is still described somewhere.
  let lease: TableLease
}

/// Lives as long as somebody holds the ``TableMetrics`` it belongs to: a class for that only.
final class TableLease: Sendable {}

/// Which tables of a source have series of their own, and since when nobody describes them.
///
/// At most ``limit`` tables have; the others share one series, `table="_other"`. A table that is
/// not described on any connection for ``patience``, or whose place is wanted, loses its own.
struct TableBook {
  /// The value of the labels of all tables beyond the limit.
  static let other = "_other"
  /// How long the series of a table stay that nobody describes: a reconnect must not reset them.
  static let patience = Limits.tableSeriesPatience
  /// The shortest pause between two searches for tables that nobody describes.
  static let pause = Limits.tableSeriesSweep

  private struct Name: Hashable {
    let schema: String
    let table: String
  }

  private struct Entry {
    let source: SourceTableMetrics
    let sinks: [SinkTableMetrics]
    let hasTopic: [Bool]
    let left: [LeftOut?]
    weak var lease: TableLease?
    var unusedSince: ContinuousClock.Instant?
  }

  /// How many tables have series of their own.
  let limit: Int
  private let source: SourceMetrics
  private let sinks: [SinkMetrics]
  private var entries: [Name: Entry] = [:]
  private var rest: TableMetrics?
  private var nextSweep: ContinuousClock.Instant?

  /// Makes an empty book.
  init(limit: Int, source: SourceMetrics, sinks: [SinkMetrics]) {
    self.limit = limit
    self.source = source
    self.sinks = sinks
  }

  /// The counters of a table; `hasTopic` tells for each sink whether the table has a topic there.
  mutating func table(
    schema: String, _ table: String, hasTopic: [Bool], left: [LeftOut?] = [],
    now: ContinuousClock.Instant
  ) -> TableMetrics {
    let name = Name(schema: schema, table: table)
    if let known = entries[name], known.hasTopic == hasTopic, known.left == left {
      let lease = known.lease ?? TableLease()
      entries[name]?.lease = lease
      entries[name]?.unusedSince = nil
      return TableMetrics(source: known.source, sinks: known.sinks, lease: lease)
    }
    // What had a topic and has none any more, or the other way round, begins anew.
    release(name)
    if entries.count >= limit { sweep(now: now, patience: .zero) }
    guard entries.count < limit else { return other() }
    let lease = TableLease()
    let entry = Entry(
      source: source.table(schema: schema, table),
      sinks: sinks.indices.map {
        sinks[$0].table(
          schema: schema, table, hasTopic: hasTopic[$0], left: $0 < left.count ? left[$0] : nil)
      }, hasTopic: hasTopic, left: left, lease: lease)
    entries[name] = entry
    return TableMetrics(source: entry.source, sinks: entry.sinks, lease: lease)
  }

  private mutating func other() -> TableMetrics {
    if let rest { return rest }
    let made = TableMetrics(
      source: source.table(schema: Self.other, Self.other),
      sinks: sinks.map { $0.table(schema: Self.other, Self.other, hasTopic: nil) },
      lease: TableLease())
    rest = made
    return made
  }

  private mutating func release(_ name: Name) {
    guard let entry = entries.removeValue(forKey: name) else { return }
    source.release(schema: name.schema, name.table)
    for (index, sink) in sinks.enumerated() {
      sink.release(
        schema: name.schema, name.table, hasTopic: entry.hasTopic[index],
        left: index < entry.left.count ? entry.left[index] : nil)
    }
  }

  /// Drops the series of tables that nobody has described for `patience`; now and then only.
  mutating func sweep(
    now: ContinuousClock.Instant, patience: Duration = TableBook.patience
  ) {
    if let nextSweep, now < nextSweep { return }
    nextSweep = now + Self.pause
    var gone: [Name] = []
    for (name, entry) in entries where entry.lease == nil {
      let since = entry.unusedSince ?? now
      if now - since >= patience { gone.append(name) }
      entries[name]?.unusedSince = since
    }
    for name in gone { release(name) }
  }
}
