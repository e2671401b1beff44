/// A part of the program that takes bytes which somebody else wrote.
///
/// A new target is one file here and one line in ``FuzzTargets``.
protocol FuzzTarget: SendableMetatype {
  /// What `make fuzz TARGET=` and the folder in `Fuzz/Regressions` call it.
  static var name: String { get }

  /// Inputs to begin with: what real peers send.
  static var seeds: [[UInt8]] { get throws }

  /// Words that a mutation may put in, so that nobody waits for them to be guessed.
  static var words: [String] { get }

  /// Takes an input in and checks what has to hold for every one; it never traps.
  static func run(_ input: [UInt8]) throws(Violation)
}

extension FuzzTarget {
  static var words: [String] { [] }
}

/// Every target, in the order in which they run.
enum FuzzTargets {
  static let all: [any FuzzTarget.Type] = [
    FramingFuzz.self, BackendMessageFuzz.self, StartupFuzz.self, PgOutputFuzz.self,
    PipelineFuzz.self, SCRAMFuzz.self, SASLprepFuzz.self, ConnectionStringFuzz.self,
    PassfileFuzz.self, ContainerTextFuzz.self, ValueFuzz.self, ConfigurationFuzz.self,
    ServiceFileFuzz.self, BinaryValueFuzz.self, RecordingFuzz.self, JSONFuzz.self,
    AvroFuzz.self, ProtobufFuzz.self, WhereFuzz.self,
  ]

  /// Looks a target up; the planted bug is no target of `all`.
  static func named(_ name: String) -> (any FuzzTarget.Type)? {
    (all + [PlantedFuzz.self]).first { $0.name == name }
  }
}

/// Something that holds for every input did not hold for this one.
struct Violation: Error, CustomStringConvertible {
  /// One sentence.
  let description: String
}

/// Throws a ``Violation`` unless the condition holds.
func require(
  _ condition: Bool, _ sentence: @autoclosure () -> String
) throws(Violation) {
  guard condition else { throw Violation(description: sentence()) }
}
