// The package's executables that tests run.

import Foundation
import Glibc

public enum BuiltExecutable {
  /// SwiftPM builds it into the folder of the tests' own executable.
  public static func path(_ name: String) throws -> String {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    guard readlink("/proc/self/exe", &path, path.count - 1) > 0 else { throw TestError.system("readlink") }
    let tests = URL(filePath: String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    let candidates = [tests] + CommandLine.arguments.map { URL(filePath: $0) }
    let found = candidates.map { $0.deletingLastPathComponent().appending(path: name).path }.first { access($0, X_OK) == 0 }
    guard let found else { throw TestError("no executable \(name) beside \(candidates.map(\.path))") }
    return found
  }
}
