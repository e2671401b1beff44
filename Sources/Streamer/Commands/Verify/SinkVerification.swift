import PGWire

/// Compares the tables of one source with the topics of one of its sinks, part by part.
final class SinkVerification {
  private let target: VerifyTarget
  private let options: CommandLineRequest.VerifyOptions
  private let progress: VerifyProgress
  private let resumption: VerifyResumption?
  private let repair: VerifyRepair?
  /// What says what records have that name their schemas.
  private let texts: RecordTexts

  /// What is found goes to `resumption`, and `repair` is asked to mend it.
  init(
    _ target: VerifyTarget, _ options: CommandLineRequest.VerifyOptions, _ progress: VerifyProgress,
    _ resumption: VerifyResumption?, _ repair: VerifyRepair?
  ) {
    self.target = target
    self.options = options
    self.progress = progress
    self.resumption = resumption
    self.repair = repair
    texts = RecordTexts(target.setup, sink: target.sink.name)
  }

  /// Compares them; adds what it finds, and what an earlier run has found.
  func run(_ report: inout VerifyReport) throws(StreamerError) {
    var server = try VerifyServer.connect(target.source, target.postgres, progress.breaker)
    let all = VerifySubjects(
      try server.tables(), of: target, database: server.origin.database, named: options.tables)
    let basis = try basis(&server)
    var kept: [VerifyResumption.Part] = []
    if let basis { kept = try resumption?.parts(on: basis) ?? [] }
    let (old, known) = Self.known(all.compared, kept)
    let left = all.compared.filter { !known.contains($0.table.relation.oid) }
    var findings = old
    report.add(remarks: kept.flatMap(\.remarks))
    if !left.isEmpty {
      let topics = try TopicReading(all.topics, of: target.kafka, log: Log(level: .error))
      defer { topics.close() }
      let records = try topics.ahead()
      progress.start(total: VerifySubjects.weight(of: all.compared, records: records))
      let done = all.compared.filter { known.contains($0.table.relation.oid) }
      progress.skip(VerifySubjects.weight(of: done, records: records))
      if let first = kept.first, !done.isEmpty {
        progress.note(
          "\(done.count) of \(all.compared.count) tables of \(target.sink.name) were compared "
            + "since \(first.at)")
      }
      let size = options.rate.map { Int64($0) * Limits.verifyPartSeconds } ?? Limits.verifyPart
      let parts = VerifySubjects.parts(
        of: left, size: min(size, Limits.verifyPart), records: records)
      for subjects in parts {
        let part = PartVerification(
          try TopicRows(
            subjects, in: topics, target.setup, database: server.origin.database, texts,
            directory: target.directory), target, examples: options.examples, progress)
        var remarks = [try part.run(&server, texts)].compactMap(\.self)
        try repair?.mend(part, target.setup, &remarks)
        if let basis {
          try resumption?.keep(
            VerifyResumption.Part(
              basis: basis, fence: part.fence, findings: part.findings,
              relations: subjects.map(\.table.relation.oid), remarks: remarks))
        }
        findings += part.findings
        report.add(remarks: remarks)
        progress.settle(VerifySubjects.weight(of: subjects, records: records))
      }
    }
    report.findings += findings.sorted { $0.table < $1.table } + all.leftOut
  }

  /// What findings rest on; nil where none are kept.
  private func basis(
    _ server: inout VerifyServer
  ) throws(StreamerError) -> VerifyResumption.Basis? {
    guard resumption != nil else { return nil }
    return VerifyResumption.Basis(
      source: target.source.name, sink: target.sink.name, server: try server.identity(),
      settings: try target.settings(options))
  }

  /// What earlier parts say of the tables that are still there, and which those are.
  private static func known(
    _ subjects: [VerifySubject], _ parts: [VerifyResumption.Part]
  ) -> (findings: [TableFinding], relations: Set<UInt32>) {
    var findings: [TableFinding] = []
    var relations: Set<UInt32> = []
    for part in parts {
      for (relation, finding) in zip(part.relations, part.findings) {
        let isThere = subjects.contains {
          $0.table.relation.oid == relation && $0.table.name == finding.table
            && $0.topic == finding.topic
        }
        if isThere, relations.insert(relation).inserted { findings.append(finding) }
      }
    }
    return (findings, relations)
  }
}
