/// A bug planted on purpose: it reads beyond its buffer after a sequence that nobody guesses.
///
/// `make fuzz-selftest` runs it: a harness that does not find this finds nothing.
enum PlantedFuzz: FuzzTarget {
  static let name = "planted"
  static let seeds: [[UInt8]] = [[]]

  private static let magic = Array("walsnd".utf8)

  static func run(_ input: [UInt8]) throws(Violation) {
    var known = 0
    // Each byte that fits is a branch of its own: coverage leads from one to the next.
    while known < magic.count, known < input.count {
      guard input[known] == magic[known] else { return }
      switch known {
      case 0: touch(1)
      case 1: touch(2)
      case 2: touch(3)
      case 3: touch(4)
      case 4: touch(5)
      default: touch(6)
      }
      known += 1
    }
    guard known == magic.count else { return }
    let room = UnsafeMutablePointer<UInt8>.allocate(capacity: magic.count)
    unsafe room.initialize(repeating: 0, count: magic.count)
    // Not safe, on purpose: one byte beyond what was allocated.
    touch(unsafe room[known])
    unsafe room.deallocate()
  }

  @inline(never) private static func touch(_ byte: UInt8) { unsafe last = byte }
  nonisolated(unsafe) private static var last: UInt8 = 0
}
