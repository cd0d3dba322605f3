// A whole form: its texts and its files, by name.

/// The parts of a `multipart/form-data` body that is there as a whole.
public struct MultipartForm: Sendable {
  public struct Part: Sendable {
    public let headers: PartHeaders
    /// A slice of the body: nothing is copied.
    public let content: ArraySlice<UInt8>
  }

  /// In the order in which they came; no two have the same name.
  public let parts: [Part]

  /// - Throws: also for a name that comes twice, since which of them counts would be a guess.
  public init(_ body: [UInt8], boundary: Boundary, limits: MultipartParser.Limits = .init()) throws(MultipartError) {
    var parser = MultipartParser(boundary: boundary, limits: limits)
    var parts: [Part] = []
    var names: Set<String> = []
    var headers: PartHeaders?
    var content = body[..<0]
    try parser.feed(body[...]) { event throws(MultipartError) in
      switch event {
      case .part(let new):
        guard names.insert(new.name).inserted else { throw .brokenHeaders("two parts have the name \(new.name)") }
        headers = new
        content = body[..<0]
      case .content(let more):
        // The body was fed as one piece: what belongs to a part is one slice of it.
        content = body[(content.isEmpty ? more.startIndex : content.startIndex)..<more.endIndex]
      case .end:
        if let headers { parts.append(Part(headers: headers, content: content)) }
      }
    }
    try parser.finish()
    for part in parts where part.headers.name == "_charset_" {
      guard part.content.elementsEqual("utf-8".utf8) || part.content.elementsEqual("UTF-8".utf8) else {
        throw .unsupported("the form is not in UTF-8")
      }
    }
    self.parts = parts
  }
}

extension MultipartForm.Part {
  /// What it says, for a part that is no file.
  ///
  /// - Throws: if it is not UTF-8, or says that it is something else.
  public func text() throws(MultipartError) -> String {
    guard headers.charset.map({ ["utf-8", "us-ascii"].contains($0) }) ?? true, let text = String(validating: content, as: UTF8.self) else {
      throw .unsupported("the part \(headers.name) is not in UTF-8")
    }
    return text
  }
}
