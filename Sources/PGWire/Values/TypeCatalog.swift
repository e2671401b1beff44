/// What is known of the types of one database: the built-in ones and those that were looked up.
///
/// A value; it belongs to one database, since OIDs from 10000 on mean another type in each.
public struct TypeCatalog: Hashable, Sendable {
  /// The least OID that is another type in each database.
  public static let firstUserType: UInt32 = 10_000

  private var learned: [UInt32: TypeDescription] = [:]
  /// Whether the server prints floating-point numbers in the shortest form, as it does from 12 on.
  public var hasShortestFloats = true

  /// Makes a catalog that knows the built-in types.
  public init() {}

  /// What is known of a type, or nil when it has to be looked up.
  public func description(of oid: UInt32) -> TypeDescription? {
    learned[oid] ?? BuiltinTypes.all[oid]
  }

  /// Keeps descriptions that were looked up; newer ones take the place of older ones.
  public mutating func learn(_ descriptions: [TypeDescription]) {
    for description in descriptions { learned[description.oid] = description }
  }

  /// Forgets what was looked up of a type, so that it counts as missing again.
  ///
  /// For a Type message that names a type anew: ALTER TYPE may have changed it.
  public mutating func forget(_ oid: UInt32) { learned[oid] = nil }

  /// Forgets what was looked up of types and of all that they refer to.
  ///
  /// For a table that is described anew: ALTER TYPE may have changed any of them.
  public mutating func forgetAll(_ oids: [UInt32]) {
    var open = oids
    while let oid = open.popLast() {
      guard let description = learned.removeValue(forKey: oid) else { continue }
      open.append(contentsOf: description.references)
    }
  }

  /// Those of the types, and of the types they refer to, that are not known; in rising order.
  public func missing(for oids: [UInt32]) -> [UInt32] {
    var missing: Set<UInt32> = []
    var seen: Set<UInt32> = []
    var open = oids
    while let oid = open.popLast() {
      guard oid != 0, seen.insert(oid).inserted else { continue }
      if let description = description(of: oid) {
        open.append(contentsOf: description.references)
      } else {
        missing.insert(oid)
      }
    }
    return missing.sorted()
  }

  /// The descriptions that were looked up of these types and of those they refer to, in rising
  /// order: with them another catalog knows as much.
  public func learned(for oids: [UInt32]) -> [TypeDescription] {
    var found: [UInt32: TypeDescription] = [:]
    var seen: Set<UInt32> = []
    var open = oids
    while let oid = open.popLast() {
      guard seen.insert(oid).inserted, let description = description(of: oid) else { continue }
      found[oid] = learned[oid]
      open.append(contentsOf: description.references)
    }
    return found.values.sorted { $0.oid < $1.oid }
  }
}
