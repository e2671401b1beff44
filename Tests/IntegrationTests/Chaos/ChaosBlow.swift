import Support

/// What may break while changes are on their way.
enum ChaosBlow: String, CaseIterable {
  case streamerKilled
  case streamerFrozen
  case streamerStopped
  case walsenderTerminated
  case postgresRestarted
  case postgresFrozen
  case standbyFrozen
  case diskFull
  case brokerKilled
  case brokerFrozen
  case brokerStopped
  case twoBrokersKilled
  case controllerKilled
  case postgresCut
  case postgresHalfClosed
  case postgresStalled
  case postgresSlow
  case postgresCorrupted
  case brokerCut
  case brokerHalfClosed
  case brokerStalled
  case brokerSlow
  case brokerCorrupted
  case producedLate
  case partitionsAddedLate
  case endedLate

  /// Those of processes and disks, with one broker.
  static let processes: [Self] = [
    .streamerKilled, .streamerFrozen, .streamerStopped, .walsenderTerminated, .postgresRestarted,
    .postgresFrozen, .standbyFrozen, .diskFull, .brokerKilled, .brokerFrozen,
  ]
  /// Those of three brokers and their controller, and what makes somebody else begin in the middle.
  static let brokers: [Self] = [
    .streamerKilled, .walsenderTerminated, .brokerKilled, .brokerFrozen, .brokerStopped,
    .twoBrokersKilled, .controllerKilled,
  ]
  /// Those of the networks.
  static let networks: [Self] = allCases.filter { $0.order(part: 0, seconds: 0) != nil }

  /// Those of a kind of world, or which of them `CHAOS_BLOWS` names.
  static func chosen(of kind: ChaosWorld.Kind) throws -> [Self] {
    let all =
      switch kind {
      case .processes: processes
      case .brokers: brokers
      case .networks: networks
      }
    guard let names = TestEnvironment["CHAOS_BLOWS"]?.split(separator: ",") else { return all }
    let chosen = all.filter { names.contains(Substring($0.rawValue)) }
    if chosen.isEmpty { throw SupportError("CHAOS_BLOWS: none of \(names) is one of \(all)") }
    return chosen
  }

  /// What a proxy is told, and whether it stands in front of Kafka; nil where no network breaks.
  func order(part: Double, seconds: Double) -> (text: String, isKafka: Bool)? {
    switch self {
    case .postgresCut: ("cut", false)
    case .postgresHalfClosed: ("half", false)
    case .postgresStalled: ("stall \(seconds)", false)
    case .postgresSlow: ("delay 0.02", false)
    case .postgresCorrupted: ("corrupt \(part)", false)
    case .brokerCut: ("cut", true)
    case .brokerHalfClosed: ("half", true)
    case .brokerStalled: ("stall \(seconds)", true)
    case .brokerSlow: ("delay 0.02", true)
    case .brokerCorrupted: ("corrupt \(part)", true)
    case .producedLate: ("late 0 \(seconds)", true)
    case .partitionsAddedLate: ("late 24 \(seconds)", true)
    case .endedLate: ("late 26 \(seconds)", true)
    default: nil
    }
  }
}
