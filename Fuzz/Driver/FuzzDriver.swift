// fuzz list                        the targets, one a line
// fuzz seeds TARGET FOLDER         writes what to begin with, and words to FOLDER.words
// fuzz run TARGET [ARGUMENT ...]   runs libFuzzer on a target, with its arguments
//
// Scripts/fuzz calls it: `make fuzz`.
import Glibc
import Support

/// What libFuzzer, whose program this is, calls first: it may change the arguments.
@c(LLVMFuzzerInitialize) public func initializeFuzzing(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> CInt {
  let all = unsafe (0..<Int(count.pointee)).compactMap { unsafe arguments.pointee[$0] }
  guard FuzzDriver.start(unsafe all.map { unsafe String(cString: $0) }) else { return 0 }
  // `run TARGET` is ours, the rest libFuzzer's.
  for index in unsafe 3..<all.count { unsafe arguments.pointee[index - 2] = unsafe all[index] }
  unsafe count.pointee -= 2
  return 0
}

/// What libFuzzer calls with one input after the other.
@c(LLVMFuzzerTestOneInput) public func testOneInput(
  _ bytes: UnsafePointer<UInt8>?, _ count: Int
) -> CInt {
  // SAFETY: libFuzzer lends the bytes for the length of the call.
  FuzzDriver.test(unsafe Array(UnsafeBufferPointer(start: bytes, count: count)))
  return 0
}

/// What the program does between `Scripts/fuzz` and libFuzzer.
enum FuzzDriver {
  /// The target of this process; set once before libFuzzer starts.
  nonisolated(unsafe) private static var target: any FuzzTarget.Type = PlantedFuzz.self

  /// Tells the processes that libFuzzer starts of itself which target it is.
  private static let variable = "PSQL_STREAMER_FUZZ_TARGET"

  /// Takes the target from the arguments, or does what else they say and ends the process.
  ///
  /// False when libFuzzer has started itself again, to minimise an input.
  static func start(_ arguments: [String]) -> Bool {
    do {
      switch (arguments.dropFirst().first, arguments.count) {
      case ("list", 2):
        for target in FuzzTargets.all { print(target.name) }
      case ("seeds", 4):
        try writeSeeds(of: try lookUp(arguments[2]), to: arguments[3])
      case ("run", 3...):
        unsafe target = try lookUp(arguments[2])
        unsafe setenv(variable, arguments[2], 1)
        return true
      default:
        if let name = TestEnvironment[variable] {
          unsafe target = try lookUp(name)
          return false
        }
        throw SupportError("usage: fuzz list | seeds TARGET FOLDER | run TARGET [ARGUMENT ...]")
      }
      exit(0)
    } catch {
      printToStandardError("fuzz: \(error)")
      exit(2)
    }
  }

  private static func lookUp(_ name: String) throws -> any FuzzTarget.Type {
    guard let target = FuzzTargets.named(name) else {
      let names = FuzzTargets.all.map { $0.name }.joined(separator: ", ")
      throw SupportError("there is no target \(name). Use one of \(names)")
    }
    return target
  }

  private static func writeSeeds(of target: any FuzzTarget.Type, to folder: String) throws {
    for (number, seed) in try target.seeds.enumerated() {
      try FileBytes.write(bytes: seed, to: "\(folder)/seed-\(number)")
    }
    let words = target.words.map { word in
      "\""
        + word.utf8.map { byte in
          let digits = String(byte, radix: 16)
          return "\\x" + (digits.count < 2 ? "0" + digits : digits)
        }.joined() + "\"\n"
    }
    try FileBytes.write(words.joined(), to: "\(folder).words")
  }

  /// Runs the target; what it finds becomes the trap that libFuzzer takes for a crash.
  static func test(_ input: [UInt8]) {
    let target = unsafe self.target
    do throws(Violation) { try target.run(input) } catch {
      fatalError("\(target.name): \(error)")
    }
  }
}
