import PGWire

/// The events of an outbox that logical messages are: a JSON object whose members are the columns.
extension Pipeline {
  /// Whether a message is an event of a lane's outbox.
  ///
  /// One that does not belong to its transaction is none: it would be sent although what it tells of
  /// is rolled back.
  func isOutbox(_ message: borrowing LogicalMessage, lane index: Int) -> Bool {
    guard message.isTransactional, let prefix = encodings[index].outboxPrefix else { return false }
    guard message.prefix.byteCount >= prefix.count else { return false }
    for offset in prefix.indices where message.prefix[offset] != prefix[offset] { return false }
    return true
  }

  /// Gives a lane's outbox a message.
  mutating func outbox(
    _ message: borrowing LogicalMessage, _ place: EventPlace, size: Int, lane index: Int
  ) {
    guard let plan = encodings[index].messagePlan else { return }
    let name = Self.outboxMessages
    guard size <= settings.maxRowSize else {
      let reason = "the message takes \(size) bytes, maxRowSize allows \(settings.maxRowSize)"
      guard let dead = lanes[index].deadLetters else {
        return lanes[index].refused(place, tooLarge("a logical message", place, size))
      }
      var letter = letter(.noObject, reason, name, place, size: size, lane: index)
      letter.cause = .rowSize
      return lanes[index].bury(letter, into: dead)
    }
    let first = lanes[index].batch.count
    var text = rowRuled.take() ?? ByteWriter()
    if let fault = plan.write(message.content, to: &text, &encodings[index].state) {
      encodings[index].state.outbox.fault = fault
      encodings[index].state.setback = .outbox
    } else {
      plan.plan.encode(
        RowEvent(
          Change.rewritten(
            .insert, of: 0, .none, in: text, boundary: 0, columns: (0, plan.columns.count)),
          at: place),
        plan.route, ticket: lanes[index].ticket, &encodings[index].state,
        into: &lanes[index].batch)
    }
    text.removeAll()
    text.shrink(to: Limits.rowTextBytes)
    rowRuled = consume text
    guard encodings[index].state.setback == nil else {
      return outboxed(message, place, from: first, size: size, lane: index)
    }
    lanes[index].produced(from: first, place, table: name)
  }

  static let outboxMessages = "logical messages of the outbox"
}

/// How the messages of an outbox become records.
final class OutboxMessagePlan {
  /// The members that it reads, each a column of what the plan gets.
  let columns: [String]
  /// What an event cannot do without.
  private let required: Set<Int>
  /// How they become records.
  let plan: OutboxPlan
  /// What the records have without a key.
  let route = Route(topic: -1, table: Pipeline.outboxMessages)

  init?(_ options: OutboxOptions, _ names: TopicRouting.TopicNames) {
    guard options.messages != nil else { return nil }
    var columns: [String] = []
    for (_, column) in options.columns where !columns.contains(column) { columns.append(column) }
    let relation = Relation(
      oid: 0, schema: "", name: "", replicaIdentity: .nothing,
      columns: columns.map {
        Relation.Column(name: $0, isKey: false, type: OutboxPlan.memberType)
      })
    guard let plan = try? OutboxPlan(options, names, relation, TypeCatalog()) else { return nil }
    self.columns = columns
    self.plan = plan
    required = Set(
      [options.eventID, options.payload, options.routeBy].compactMap { columns.firstIndex(of: $0) })
  }

  /// Writes the members of a message as a row's values; gives what is wrong with it.
  func write(
    _ content: RawSpan, to text: inout ByteWriter, _ state: inout EncodingState
  ) -> OutboxFault? {
    guard state.outbox.isDocument(content) else { return .noObject }
    var members: [Range<Int>?] = columns.map { _ in nil }
    let isObject = JSONMembers.each(of: content) { name, value in
      let index = columns.firstIndex { Self.equals($0, content, name) }
      if let index { members[index] = value }
    }
    guard isObject else { return .noObject }
    for (index, member) in members.enumerated() {
      guard let member else {
        if required.contains(index) { return .noMember(columns[index]) }
        text.append(UInt8(ascii: "n"))
        continue
      }
      // A value of JSON that begins like this is null.
      guard content[member.lowerBound] != UInt8(ascii: "n") else {
        text.append(UInt8(ascii: "n"))
        continue
      }
      text.append(UInt8(ascii: "t"))
      text.append(bigEndian: Int32(member.count))
      text.append(content.extracting(member))
    }
    return nil
  }

  private static func equals(_ name: String, _ text: RawSpan, _ place: Range<Int>) -> Bool {
    guard name.utf8.count == place.count else { return false }
    var at = place.lowerBound
    for byte in name.utf8 {
      guard byte == text[at] else { return false }
      at += 1
    }
    return true
  }
}
