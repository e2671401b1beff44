// swift-tools-version: 6.2
// No package is fetched: what psql-streamer does not do itself comes from C libraries of the
// operating system, each behind one small module (docs/ARCHITECTURE.md, "Dependencies").
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),  // SE-0335
  .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
  .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
  .enableExperimentalFeature("Lifetimes"),  // ~Escapable views of our own
  .strictMemorySafety(),  // SE-0458
  .treatAllWarnings(as: .error),  // SE-0443
]

/// A C library that Debian ships with a pkg-config file.
func system(_ name: String, pkgConfig: String, package: String) -> Target {
  .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

let package = Package(
  name: "psql-streamer",
  products: [
    .executable(name: "psql-streamer", targets: ["psql-streamer"]),
    .library(name: "PGWire", targets: ["PGWire"]),
    .library(name: "Recording", targets: ["Recording"]),
    .library(name: "KafkaBridge", targets: ["KafkaBridge"]),
  ],
  targets: [
    .target(name: "CLinux"),
    .target(name: "CTOML"),
    .target(name: "CSimdJSON", linkerSettings: [.linkedLibrary("simdjson")]),
    system("COpenSSL", pkgConfig: "openssl", package: "libssl-dev"),
    system("CRdKafka", pkgConfig: "rdkafka", package: "librdkafka-dev"),
    system("CSQLite", pkgConfig: "sqlite3", package: "libsqlite3-dev"),
    system("CMicroHTTPD", pkgConfig: "libmicrohttpd", package: "libmicrohttpd-dev"),
    system("CZstd", pkgConfig: "libzstd", package: "libzstd-dev"),
    system("CCurl", pkgConfig: "libcurl", package: "libcurl4-openssl-dev"),

    .target(name: "PGWire", dependencies: ["CLinux", "COpenSSL"], swiftSettings: settings),
    .target(name: "Recording", dependencies: ["PGWire", "CZstd"], swiftSettings: settings),
    .target(name: "KafkaBridge", dependencies: ["CLinux", "CRdKafka"], swiftSettings: settings),
    .target(
      name: "Streamer",
      dependencies: [
        "PGWire", "Recording", "KafkaBridge", "CLinux", "CTOML", "CSimdJSON", "CSQLite",
        "CMicroHTTPD", "CCurl",
      ],
      // In the binary itself: a bundle beside it would have to be installed and found.
      resources: ["html", "css", "js"].map { .embedInCode("Admin/Page/page.\($0)") },
      swiftSettings: settings),
    .executableTarget(name: "psql-streamer", dependencies: ["Streamer"], swiftSettings: settings),
  ],
  cxxLanguageStandard: .cxx17
)

// An image and a package are built of Sources alone (Dockerfile): a change of a test builds neither anew.
if Context.environment["PSQL_STREAMER_SOURCES_ALONE"] == nil {
  package.targets += [
    .target(
      name: "Support", dependencies: ["PGWire", "Recording"], path: "Tests/Support",
      swiftSettings: settings),
    .testTarget(
      name: "PGWireTests", dependencies: ["PGWire", "Recording", "Support"],
      swiftSettings: settings),
    .testTarget(
      name: "RecordingTests", dependencies: ["PGWire", "Recording", "Support"],
      swiftSettings: settings),
    .testTarget(
      name: "KafkaBridgeTests", dependencies: ["KafkaBridge", "Support"], swiftSettings: settings),
    .testTarget(
      name: "StreamerTests", dependencies: ["Streamer", "Recording", "Support"],
      swiftSettings: settings),
    .testTarget(
      name: "IntegrationTests",
      dependencies: ["PGWire", "Recording", "KafkaBridge", "Streamer", "Support"],
      swiftSettings: settings),
  ]

  // `make fuzz` links libFuzzer and needs the internals in optimised code; in ordinary builds the same
  // targets are a test that runs the seeds and the inputs which once crashed (Fuzz/Regressions).
  if Context.environment["PSQL_STREAMER_FUZZ"] != nil {
    package.targets.append(
      .executableTarget(
        name: "fuzz", dependencies: ["PGWire", "Recording", "Streamer", "Support"], path: "Fuzz",
        exclude: ["Regressions", "Tests"], sources: ["Targets", "Driver"],
        swiftSettings: settings))
  } else {
    package.targets.append(
      .testTarget(
        name: "FuzzTests", dependencies: ["PGWire", "Recording", "Streamer", "Support"],
        path: "Fuzz",
        exclude: ["Regressions", "Driver"], sources: ["Targets", "Tests"],
        swiftSettings: settings))
  }
}

// The check of `make test-allocations` needs Streamer built for testing in release, so ordinary
// builds leave it out.
if Context.environment["PSQL_STREAMER_ALLOCATIONS"] != nil {
  package.targets += [
    .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
    .executableTarget(
      name: "allocation-check", dependencies: ["Streamer", "Support", "AllocationCounter"],
      path: "Tests/AllocationCheck", swiftSettings: settings),
  ]
}

// `make bench-decode` and `make bench-reader`.
if Context.environment["PSQL_STREAMER_BENCHMARKS"] != nil {
  package.targets += [
    .executableTarget(
      name: "bench-decode", dependencies: ["PGWire", "Support"], path: "Benchmarks/Decode",
      swiftSettings: settings),
    .executableTarget(
      name: "bench-reader", dependencies: ["PGWire"], path: "Benchmarks/Reader",
      swiftSettings: settings),
  ]
}
