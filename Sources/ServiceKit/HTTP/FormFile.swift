// Forms: the other kind of body that a route may take.

import Crypto
import EventLoop
import FastCGI
import Multipart

/// A file of a form.
public struct FormFile: Sendable {
  /// The last part of the name that the sender gave, without control characters, 255 characters at most; nil if nothing of it is left.
  public let filename: String?
  /// The media type that the sender gave, in lower case: a claim.
  public let contentType: String?
  public let content: ArraySlice<UInt8>

  init(_ part: MultipartForm.Part) {
    let last = (part.headers.filename ?? "").unicodeScalars.split { $0 == "/" || $0 == "\\" }.last ?? ""[...].unicodeScalars
    let kept = last.filter { $0.properties.generalCategory != .control }.prefix(255)
    let name = Input.trimmed(String(String.UnicodeScalarView(kept)))
    filename = name.isEmpty ? nil : name
    contentType = part.headers.contentType
    content = part.content
  }
}

extension Request {
  /// As `input`, for a route that takes a form (`multipart/form-data`, RFC 7578) in the place of JSON.
  public var formInput: Input { Input(self, takesForms: true) }

  /// The boundary of the form that the body is; nil if it is none, or has none.
  var formBoundary: Boundary? { raw.parameter("CONTENT_TYPE").flatMap(Boundary.init(contentType:)) }
}

extension Input {
  /// The texts and files of a form.
  struct Form {
    var texts: [String: JSONValue] = [:]
    var files: [String: FormFile] = [:]

    init(_ body: [UInt8], boundary: Boundary) throws(MultipartError) {
      for part in try MultipartForm(body, boundary: boundary).parts {
        if part.headers.filename == nil {
          texts[part.headers.name] = .string(try part.text())
        } else if !part.content.isEmpty || part.headers.filename?.isEmpty == false {
          // Of an input element in which no file was chosen browsers send an empty file without a name.
          files[part.headers.name] = FormFile(part)
        }
      }
    }

    /// The same for the same parts, whatever the boundary was.
    func update(_ hash: inout SHA256) {
      for (name, text) in texts.sorted(by: { $0.key < $1.key }) {
        if case .string(let text) = text { hash.update(data: Array("\(name.utf8.count) \(name) \(text.utf8.count) \(text) ".utf8)) }
      }
      for (name, file) in files.sorted(by: { $0.key < $1.key }) {
        let filename = file.filename ?? ""
        hash.update(data: Array("\(name.utf8.count) \(name) \(filename.utf8.count) \(filename) \(file.content.count) ".utf8))
        hash.update(data: file.content)
      }
    }
  }
}
