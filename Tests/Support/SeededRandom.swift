import Glibc

/// A random number generator whose seed is printed, so that a failure can be played again.
///
/// `PSQL_STREAMER_SEED=N` replaces the seed of every generator of the run. The sequence is
/// SplitMix64's, the same on every machine.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  /// What the sequence started from.
  public let seed: UInt64
  private var state: UInt64

  /// A generator with a fresh seed, printed with the name of its user.
  public init(_ name: String) {
    var fresh = SystemRandomNumberGenerator()
    let chosen = TestEnvironment["PSQL_STREAMER_SEED"].flatMap { UInt64($0) } ?? fresh.next()
    self.init(seed: chosen)
    printToStandardError("seed: \(name): PSQL_STREAMER_SEED=\(chosen)")
  }

  /// A generator with a known seed, not printed.
  public init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// Prints one line to standard error.
public func printToStandardError(_ line: String) {
  _ = FileBytes.write(Array("\(line)\n".utf8), to: STDERR_FILENO)
}
