import KafkaBridge
import PGWire

/// The topics that the events of a lane's outbox go to, by the values that decide them: those that the
/// sink has given a number, and those that it is being asked for.
///
/// A row finds its topic by the value's bytes, without a string. A topic that is not known has a number
/// of its own below zero until the sink's comes; what is written under it waits in the lane.
struct OutboxTopics {
  /// A topic that the sink has to be asked for.
  struct Unknown: Hashable, Sendable {
    /// What stands for its number.
    let number: TopicID
    /// Its name.
    let name: String
  }

  private struct Entry {
    let hash: Int32
    /// Where the value stands in ``values``.
    let place: Range<Int>
    var topic: TopicID
  }

  /// Places in ``entries`` by the values' hashes, −1 for none; a power of two of them.
  private var slots: [Int32] = []
  private var entries: [Entry] = []
  private var values: [UInt8] = []
  /// The numbers by the topics' names: several values may have one.
  private var numbers: [String: TopicID] = [:]
  /// The names of the topics that are not known, by what stands for their numbers.
  private var unknown: [TopicID: String] = [:]
  private var lowest: TopicID = 0
  private var unasked: [Unknown] = []

  /// Whether no topic is being asked for.
  var isComplete: Bool { unknown.isEmpty }

  /// The number of the topic that a value leads to; nil for a value that has not been met.
  func find(_ value: RawSpan) -> TopicID? {
    guard !slots.isEmpty else { return nil }
    let hash = Murmur2.hash(value)
    var slot = Int(truncatingIfNeeded: hash) & (slots.count &- 1)
    while slots[slot] >= 0 {
      let entry = entries[Int(slots[slot])]
      if entry.hash == hash, equals(entry.place, value) { return entry.topic }
      slot = (slot &+ 1) & (slots.count &- 1)
    }
    return nil
  }

  private func equals(_ place: Range<Int>, _ value: RawSpan) -> Bool {
    guard place.count == value.byteCount else { return false }
    for offset in 0..<value.byteCount
    where values[place.lowerBound &+ offset] != value[offset] { return false }
    return true
  }

  /// Remembers that a value leads to the topic of that name, and gives its number.
  mutating func add(_ value: RawSpan, _ name: String) -> TopicID {
    if entries.count >= Limits.outboxValues { forget() }
    let number = number(of: name)
    let start = values.count
    for offset in 0..<value.byteCount { values.append(value[offset]) }
    entries.append(
      Entry(hash: Murmur2.hash(value), place: start..<values.count, topic: number))
    if entries.count * 2 > slots.count {
      slots = Array(repeating: -1, count: max(16, slots.count * 2))
      for index in entries.indices { place(index) }
    } else {
      place(entries.count - 1)
    }
    return number
  }

  private mutating func place(_ index: Int) {
    var slot = Int(truncatingIfNeeded: entries[index].hash) & (slots.count &- 1)
    while slots[slot] >= 0 { slot = (slot &+ 1) & (slots.count &- 1) }
    slots[slot] = Int32(index)
  }

  private mutating func number(of name: String) -> TopicID {
    if let known = numbers[name] { return known }
    lowest -= 1
    numbers[name] = lowest
    unknown[lowest] = name
    unasked.append(Unknown(number: lowest, name: name))
    return lowest
  }

  /// The topics that have been met since the last call, for the sink to be asked for.
  mutating func takeUnasked() -> [Unknown] {
    if unasked.isEmpty { return [] }
    defer { unasked = [] }
    return unasked
  }

  /// Whether the answer for a topic is waited for.
  func awaits(_ number: TopicID) -> Bool { unknown[number] != nil }

  /// The sink has given a topic its number; nil when it has none, so that it is asked again when the
  /// next value leads there.
  mutating func learn(_ topic: TopicID?, for number: TopicID) {
    guard let name = unknown.removeValue(forKey: number) else { return }
    numbers[name] = topic
    if let topic {
      for index in entries.indices where entries[index].topic == number {
        entries[index].topic = topic
      }
    } else {
      forget()
    }
  }

  /// Forgets the numbers that the sink has given; a topic that is being asked for keeps what stands
  /// for its number, since records wait under it.
  mutating func forget() {
    slots = []
    entries = []
    values = []
    numbers = [:]
    for (number, name) in unknown { numbers[name] = number }
  }

  /// Forgets the topics that no record waits for, and has the others asked for again.
  mutating func askAgain(_ isAwaited: (TopicID) -> Bool) {
    unknown = unknown.filter { isAwaited($0.key) }
    unasked = unknown.sorted { $0.key > $1.key }.map { Unknown(number: $0.key, name: $0.value) }
    forget()
  }
}
