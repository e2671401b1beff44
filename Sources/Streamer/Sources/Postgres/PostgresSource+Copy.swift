import PGWire

/// Existing rows beside the stream.
extension PostgresSource {
  /// Begins the copy that a start has found, or goes on with it; one that is under way is the same.
  func beginCopy(_ copy: CopyAtStart, _ origin: SourceOrigin, now: Instant) {
    guard copy.isNew || !snapshot.isOn, copy.progress.contains(where: { !$0.isDone }) else { return }
    pipeline.read.isNeeded = true
    if copy.isSlotNew { pipeline.read.startAfresh() }
    snapshot.begin(copy.progress, of: origin, now: now)
    tellCopy()
  }

  /// Goes on with the rows of a round, or towards the place where they belong.
  func copy(
    _ stream: borrowing ReplicationStream, _ permit: ReadPermit, now: Instant
  ) throws(StreamerError) {
    guard snapshot.isOn else { return }
    do throws(StreamFault) {
      try snapshot.turn(&pipeline, stream.received, mayRead: permit == .everything, now: now)
    } catch {
      throw StreamerError(error, source: configuration, name: plan.name, streams: isStreamed)
    }
    tellCopy()
  }

  /// Says what has become of the copy.
  func tellCopy() {
    for remark in snapshot.takeRemarks() {
      switch remark {
      case .began(let tables): log.info("copying existing rows", ["tables": "\(tables)"])
      case .copied(let table):
        log.info("copied a table", ["table": table.name, "rows": "\(table.rows)"])
      case .gone(let table):
        log.warning("a table is published no more and is not copied", ["table": table.name])
      case .round(let rows, let pause):
        log.debug("a round of existing rows", ["rows": "\(rows)", "pause": DurationText.text(pause)])
      case .stale: log.debug("a snapshot was older than the stream; another is taken")
      case .failed(let error):
        log.limited("copy")?.warning("existing rows could not be read", ["error": "\(error)"])
      case .finished(let tables, let rows):
        pipeline.read = ReadTransactions()
        observer.copied(snapshot.status)
        log.info("existing rows are copied", ["tables": "\(tables)", "rows": "\(rows)"])
      }
    }
  }
}
