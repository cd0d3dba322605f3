// A whole form: its texts and its files, in the order in which they came.

/// The parts of a `multipart/form-data` body that is there as a whole.
public struct MultipartForm: Sendable {
  public struct Part: Sendable {
    public let headers: PartHeaders
    /// A slice of the body: nothing is copied.
    public let content: ArraySlice<UInt8>
    /// The encoding of its text: its own, or else what the form's `_charset_` says (RFC 7578, section 4.6); nil if neither is given.
    public fileprivate(set) var charset: String?
  }

  /// In the order in which they came. Several may have one name: whether that is an error knows who knows the name.
  public let parts: [Part]

  public init(_ body: [UInt8], boundary: Boundary, limits: MultipartParser.Limits = .init()) throws(MultipartError) {
    var parser = MultipartParser(boundary: boundary, limits: limits)
    var parts: [Part] = []
    var headers: PartHeaders?
    var content = body[..<0]
    try parser.feed(body[...]) { event throws(MultipartError) in
      switch event {
      case .part(let new):
        headers = new
        content = body[..<0]
      case .content(let more):
        // The body was fed as one piece: what belongs to a part is one slice of it.
        content = body[(content.isEmpty ? more.startIndex : content.startIndex)..<more.endIndex]
      case .end:
        if let headers { parts.append(Part(headers: headers, content: content, charset: headers.charset)) }
      }
    }
    try parser.finish()
    if let given = parts.first(where: { $0.headers.name == "_charset_" && !$0.content.isEmpty }) {
      let charset = String(decoding: given.content.prefix(64), as: UTF8.self)
      for index in parts.indices where parts[index].charset == nil { parts[index].charset = charset }
    }
    self.parts = parts
  }
}

extension MultipartForm.Part {
  /// What was put into it, whatever the way in which it was written.
  ///
  /// - Throws: if it says that it is encoded, and is not.
  public func decoded() throws(MultipartError) -> ArraySlice<UInt8> {
    guard let encoding = headers.transferEncoding else { return content }
    guard let encoding = TransferEncoding(rawValue: encoding) else {
      throw .unsupported("the part has a Content-Transfer-Encoding other than 7bit, 8bit, binary, base64 and quoted-printable")
    }
    guard let decoded = encoding.decode(content) else { throw .unsupported("the part is not \(encoding.rawValue), as it says") }
    return decoded
  }

  /// What it says, for a part that is no file.
  ///
  /// - Throws: if it is not in the encoding that it says, or in one that we do not know.
  public func text() throws(MultipartError) -> String {
    guard let charset = Charset(label: charset ?? "utf-8") else {
      throw .unsupported("the text is in an encoding other than UTF-8, US-ASCII and ISO-8859-1")
    }
    guard let text = charset.decode(try decoded()) else { throw .unsupported("the text is not in UTF-8") }
    return text
  }
}
