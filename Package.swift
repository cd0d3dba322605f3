// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  // Everything of a worker runs on one thread, and its debug build still checks that accesses do not overlap.
  .unsafeFlags(["-enforce-exclusivity=unchecked", "-cross-module-optimization"], .when(configuration: .release)),
]

/// One of the five services: an executable that knows ServiceKit and nothing beneath it.
func service(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .executableTarget(name: name, dependencies: ["ServiceKit"] + dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: "\(name)Tests", dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
  name: "chatty",
  products: [
    .executable(name: "chatty-auth", targets: ["AuthService"]),
    .executable(name: "chatty-posts", targets: ["PostService"]),
    .executable(name: "chatty-feed", targets: ["FeedService"]),
    .executable(name: "chatty-admin", targets: ["AdminService"]),
    .executable(name: "chatty-recommendations", targets: ["RecommendationService"]),
    .executable(name: "chatty-worker", targets: ["Worker"]),
    .executable(name: "chatty-log", targets: ["LogKeeper"]),
    .executable(name: "chatty-image", targets: ["ImageDecoder"]),
    .executable(name: "chatty", targets: ["Operator"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CFastCGI", pkgConfig: "fcgi"),
    .systemLibrary(name: "CPostgres", pkgConfig: "libpq"),
    .systemLibrary(name: "CCrypt", pkgConfig: "libcrypt"),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl"),
    .systemLibrary(name: "CTurboJPEG", pkgConfig: "libturbojpeg"),
    .systemLibrary(name: "CSPNG", pkgConfig: "spng"),
    .systemLibrary(name: "CWebP", pkgConfig: "libwebp"),
    .systemLibrary(name: "CGIF", pkgConfig: "libgif"),
    .systemLibrary(name: "CLittleCMS", pkgConfig: "lcms2"),

    .target(name: "Logs", swiftSettings: strict),
    .executableTarget(name: "LogKeeper", dependencies: ["CLinux", "Logs"], swiftSettings: strict),
    .target(name: "EventLoop", dependencies: ["CLinux"], swiftSettings: strict),
    .target(name: "FastCGI", dependencies: ["CFastCGI", "EventLoop"], swiftSettings: strict),
    .target(name: "Postgres", dependencies: ["CPostgres", "EventLoop"], swiftSettings: strict),
    .target(name: "LikeIndex", swiftSettings: strict),
    .target(name: "Multipart", swiftSettings: strict),
    .target(name: "ImageFiles", swiftSettings: strict),
    .target(
      name: "ImageCodecs", dependencies: ["ImageFiles", "CTurboJPEG", "CSPNG", "CWebP", "CGIF", "CLittleCMS"], swiftSettings: strict),
    .executableTarget(name: "ImageDecoder", dependencies: ["ImageCodecs", "ImageFiles"], swiftSettings: strict),
    .target(name: "Media", dependencies: ["CLinux", "EventLoop", "ImageFiles"], swiftSettings: strict),
    .target(name: "Passwords", dependencies: ["CCrypt"], swiftSettings: strict),
    .target(name: "Transfers", dependencies: ["CCurl", "EventLoop"], swiftSettings: strict),
    .target(name: "Mail", dependencies: ["CCurl", "EventLoop", "Transfers"], swiftSettings: strict),
    .target(
      name: "ServiceKit",
      dependencies: [
        "EventLoop", "FastCGI", "Multipart", "Postgres",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict),

    service("AuthService", ["Passwords", .product(name: "Crypto", package: "swift-crypto")]),
    service("PostService", ["ImageFiles", "Media"]),
    service("FeedService"),
    service("AdminService"),
    service("RecommendationService", ["LikeIndex", .product(name: "Logging", package: "swift-log")]),
    .executableTarget(name: "Worker", dependencies: ["ServiceKit", "LikeIndex", "Mail", "Media"], swiftSettings: strict),
    .executableTarget(
      name: "Operator",
      dependencies: ["ServiceKit", "LikeIndex", "Media", "Passwords", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: strict),

    .target(name: "TestSupport", dependencies: ["EventLoop", "FastCGI", "Postgres"], path: "Tests/Support", swiftSettings: strict),
    .executableTarget(name: "Probe", dependencies: ["ServiceKit"], path: "Tests/Probe", swiftSettings: strict),
    tests("EventLoop", ["EventLoop", "TestSupport"]),
    tests("FastCGI", ["FastCGI", "TestSupport"]),
    tests("Postgres", ["Postgres", "TestSupport"]),
    tests("LikeIndex", ["LikeIndex", "TestSupport"]),
    tests("Logs", ["Logs"]),
    tests("Passwords", ["Passwords"]),
    tests("Multipart", ["Multipart"]),
    tests("Media", ["ImageFiles", "Media", "EventLoop", "ImageDecoder", "TestSupport"]),
    tests("Mail", ["Mail"]),
    tests(
      "ServiceKit",
      [
        "ServiceKit", "TestSupport", "Probe", .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
      ]),
  ]
)
