/// One record as it lies in a topic.
public struct KafkaRecord: Sendable, Equatable {
  /// The partition's number.
  public let partition: Int
  /// The place in the partition.
  public let offset: Int
  /// Nil is a null key.
  public let key: String?
  /// Nil is a tombstone.
  public let value: String?

  /// A record, wherever it comes from.
  public init(partition: Int, offset: Int, key: String?, value: String?) {
    self.partition = partition
    self.offset = offset
    self.key = key
    self.value = value
  }

  /// Reads kcat's lines of `%p %o %K %S %k%s\n`: the lengths make any content safe.
  static func parse(_ text: String) throws -> [KafkaRecord] {
    let bytes = Array(text.utf8)
    var records: [KafkaRecord] = []
    var position = 0
    func number() throws -> Int {
      guard let end = bytes[position...].firstIndex(of: UInt8(ascii: " ")),
        let value = Int(String(decoding: bytes[position..<end], as: UTF8.self))
      else { throw SupportError("kcat's output cannot be read at byte \(position)") }
      position = end + 1
      return value
    }
    func content(_ length: Int) -> String? {
      guard length >= 0 else { return nil }
      let end = min(position + length, bytes.count)
      defer { position = end }
      return String(decoding: bytes[position..<end], as: UTF8.self)
    }
    while position < bytes.count {
      let partition = try number()
      let offset = try number()
      let keyLength = try number()
      let valueLength = try number()
      let key = content(keyLength)
      let value = content(valueLength)
      records.append(
        KafkaRecord(partition: partition, offset: offset, key: key, value: value))
      position += 1  // the newline
    }
    return records
  }
}
