// FastCGI as bytes, for tests that want to send it whole, in pieces, or wrong (FastCGI 1.0, section 3.3 and 8).

public enum Records {
  public enum Kind: UInt8, Sendable {
    case begin = 1
    case abort = 2
    case end = 3
    case parameters = 4
    case standardInput = 5
    case standardOutput = 6
    case standardError = 7
    case data = 8
    case getValues = 9
    case unknown = 11
  }

  public static let responder: UInt16 = 1

  public static func record(_ kind: Kind, _ content: [UInt8] = [], id: UInt16 = 1, padding: UInt8 = 0, version: UInt8 = 1) -> [UInt8] {
    var record = [
      version, kind.rawValue, UInt8(id >> 8), UInt8(id & 255), UInt8(content.count >> 8), UInt8(content.count & 255), padding, 0,
    ]
    record.append(contentsOf: content)
    record.append(contentsOf: repeatElement(0xAA, count: Int(padding)))
    return record
  }

  public static func begin(id: UInt16 = 1, role: UInt16 = responder, keepConnection: Bool = true) -> [UInt8] {
    record(.begin, [UInt8(role >> 8), UInt8(role & 255), keepConnection ? 1 : 0, 0, 0, 0, 0, 0], id: id)
  }

  /// A whole stream: its records, and the empty one that ends it.
  ///
  /// - Parameters:
  ///   - recordLength: the longest content of one record, at most 65,535.
  ///   - padding: of every record that has content.
  public static func stream(_ kind: Kind, _ bytes: [UInt8], id: UInt16 = 1, recordLength: Int = 32_768, padding: UInt8 = 0) -> [UInt8] {
    var records: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: recordLength) {
      records += record(kind, Array(bytes[start..<min(start + recordLength, bytes.count)]), id: id, padding: padding)
    }
    return records + record(kind, id: id)
  }

  /// Names and values as the content of a stream of parameters (section 3.4).
  public static func pairs(_ parameters: [(name: String, value: String)]) -> [UInt8] {
    parameters.flatMap { name, value in length(name.utf8.count) + length(value.utf8.count) + Array(name.utf8) + Array(value.utf8) }
  }

  private static func length(_ count: Int) -> [UInt8] {
    count < 128
      ? [UInt8(count)] : [UInt8(count >> 24) | 0x80, UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)]
  }
}

/// A request as a web server would send it.
public struct ClientRequest: Sendable {
  public var method: String
  public var target: String
  public var body: [UInt8] = []
  /// Besides the method, the target and the body's length.
  public var parameters: [(name: String, value: String)] = []
  public var id: UInt16 = 1
  public var keepsConnection = true
  public var recordLength = 32_768
  public var padding: UInt8 = 0

  public init(_ method: String, _ target: String, body: [UInt8] = [], parameters: [(name: String, value: String)] = []) {
    self.method = method
    self.target = target
    self.body = body
    self.parameters = parameters
  }

  public static func get(_ target: String, _ parameters: [(name: String, value: String)] = []) -> ClientRequest {
    ClientRequest("GET", target, parameters: parameters)
  }

  public static func post(_ target: String, _ body: String, type: String? = "application/json") -> ClientRequest {
    ClientRequest("POST", target, body: Array(body.utf8), parameters: type.map { [("CONTENT_TYPE", $0)] } ?? [])
  }

  public var bytes: [UInt8] {
    var all: [(name: String, value: String)] = [("REQUEST_METHOD", method), ("REQUEST_URI", target)]
    if !body.isEmpty { all.append(("CONTENT_LENGTH", String(body.count))) }
    all += parameters
    return Records.begin(id: id, keepConnection: keepsConnection)
      + Records.stream(.parameters, Records.pairs(all), id: id, recordLength: recordLength, padding: padding)
      + Records.stream(.standardInput, body, id: id, recordLength: recordLength, padding: padding)
  }
}
