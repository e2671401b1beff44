import PGWire

/// Types of users and extensions, as a catalog look-up names them.
enum ExampleTypes {
  static let catalog: TypeCatalog = {
    func type(_ oid: UInt32, _ name: String, _ kind: TypeDescription.Kind) -> TypeDescription {
      TypeDescription(oid: oid, schema: "any", name: name, kind: kind)
    }
    var catalog = TypeCatalog()
    catalog.learn([
      type(20000, "hstore", .base(.userDefined)),
      type(20001, "_hstore", .array(element: 20000, delimiter: 0x2C)),
      type(20002, "vector", .base(.userDefined)), type(20003, "small", .domain(base: 21)),
      type(
        20005, "pair", .composite([.init(name: "a", type: 20003), .init(name: "q\"", type: 25)])),
      type(20010, "_pair", .array(element: 20005, delimiter: 0x2C)),
      type(
        20011, "deep", .composite([.init(name: "x", type: 20010), .init(name: "y", type: 3904)])),
    ])
    return catalog
  }()
}
