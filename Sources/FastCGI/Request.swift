import Glibc

/// One request, as the web server described it (FastCGI 1.0, section 6.2, and RFC 3875 for the names of the parameters).
public struct Request: Sendable {
  public let method: String
  /// The path and query as the client sent them, still percent-encoded.
  public let target: String
  public let body: [UInt8]
  /// The body was longer than the responder takes; `body` holds none of it.
  public let bodyIsTooLarge: Bool
  private let parameters: Parameters

  init(method: String, target: String, body: [UInt8], bodyIsTooLarge: Bool, parameters: Parameters) {
    self.method = method
    self.target = target
    self.body = body
    self.bodyIsTooLarge = bodyIsTooLarge
    self.parameters = parameters
  }

  /// A parameter such as `HTTP_AUTHORIZATION` or `REMOTE_ADDR`; nil if the web server did not send it or sent it empty.
  public func parameter(_ name: StaticString) -> String? { parameters[name] }
}

/// The parameters of a request, each as `NAME=value`, copied out of libfcgi's memory in one piece and searched when asked:
/// a handler wants a few of some twenty.
struct Parameters: Sendable {
  private let bytes: [UInt8]

  /// - Parameter environment: a NULL-terminated array of C strings, `FCGX_ParamArray`.
  init(copying environment: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) {
    var length = 0
    var next = environment
    while let entry = next.pointee {
      length += strlen(entry) + 1
      next += 1
    }
    bytes = Array(unsafeUninitializedCapacity: length) { bytes, count in
      next = environment
      while let entry = next.pointee, let free = bytes.baseAddress {
        let size = strlen(entry) + 1
        memcpy(free + count, entry, size)
        count += size
        next += 1
      }
    }
  }

  subscript(name: StaticString) -> String? {
    bytes.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let entry = UnsafeRawBufferPointer(rebasing: rest)
        guard let start = entry.baseAddress else { break }
        let length = strlen(start.assumingMemoryBound(to: CChar.self))
        if length > name.utf8CodeUnitCount, entry[name.utf8CodeUnitCount] == UInt8(ascii: "="),
          memcmp(start, name.utf8Start, name.utf8CodeUnitCount) == 0
        {
          let value = entry[(name.utf8CodeUnitCount + 1)..<length]
          return value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
        }
        rest = rest.dropFirst(length + 1)
      }
      return nil
    }
  }
}
