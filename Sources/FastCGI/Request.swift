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
    var bytes: [UInt8] = []
    bytes.reserveCapacity(1024)
    var next = environment
    while let entry = next.pointee {
      bytes.append(contentsOf: UnsafeRawBufferPointer(start: entry, count: strlen(entry) + 1))
      next += 1
    }
    self.bytes = bytes
  }

  subscript(name: StaticString) -> String? {
    bytes.withUnsafeBufferPointer { bytes in
      name.withUTF8Buffer { name in
        var start = 0
        while start < bytes.count {
          let end = bytes[start...].firstIndex(of: 0) ?? bytes.endIndex
          if end - start > name.count, bytes[start + name.count] == UInt8(ascii: "="), bytes[start..<start + name.count].elementsEqual(name)
          {
            let value = bytes[(start + name.count + 1)..<end]
            return value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
          }
          start = end + 1
        }
        return nil
      }
    }
  }
}
