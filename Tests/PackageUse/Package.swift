// swift-tools-version: 6.2
// A package of somebody else's that uses the library PGWire; `make package-use` builds and runs it.
import PackageDescription

let package = Package(
  name: "package-use",
  dependencies: [.package(name: "psql-streamer", path: "../..")],
  targets: [
    .executableTarget(
      name: "package-use", dependencies: [.product(name: "PGWire", package: "psql-streamer")],
      path: "Sources/PackageUse")
  ]
)
