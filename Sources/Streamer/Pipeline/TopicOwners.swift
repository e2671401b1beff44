/// The first table of each topic that a template has made, to tell when another one comes into it.
///
/// That is meant where the template names no schema and tables of several schemas have one name. It is
/// not where a point in a name, or what `topicNames` replaces, makes two names one.
struct TopicOwners: Sendable {
  private struct Owner {
    let table: TablePolicy.Name
    /// The name before anything in it was replaced.
    let made: String
    var isTold = false
  }

  private var owners: [String: Owner] = [:]
  private let most: Int

  /// Remembers `most` topics at most.
  init(most: Int) { self.most = most }

  /// Takes a table's topic; gives the table that was there before, once for each topic.
  mutating func claim(
    _ table: TablePolicy.Name, database: String, _ routing: TopicRouting
  ) -> (topic: String, other: TablePolicy.Name)? {
    // A regular expression has many tables come into one topic on purpose.
    guard routing.regex == nil,
      let made = routing.made(database: database, schema: table.schema, table: table.table),
      let topic = routing.topic(database: database, schema: table.schema, table: table.table)
    else { return nil }
    guard let owner = owners[topic] else {
      if owners.count < most { owners[topic] = Owner(table: table, made: made.name) }
      return nil
    }
    guard owner.table != table, !owner.isTold,
      owner.made != made.name || made.template.contains("{schema}")
    else { return nil }
    owners[topic]?.isTold = true
    return (topic, owner.table)
  }
}
