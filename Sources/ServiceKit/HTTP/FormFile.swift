// Forms: the other kind of body that a route may take.

import Crypto
import EventLoop
import FastCGI
import Multipart

/// A file of a form.
public struct FormFile: Sendable {
  /// The name that the sender gave, as far as it can be shown (`FileName`); nil if nothing of it is left.
  public let filename: String?
  /// The media type that the sender gave, in lower case: a claim.
  public let contentType: String?
  public let content: ArraySlice<UInt8>

  init(_ part: MultipartForm.Part) throws(MultipartError) {
    filename = FileName.shown(part.headers.filename ?? "")
    contentType = part.headers.contentType
    content = try part.decoded()
  }
}

extension Request {
  /// As `input`, for a route that takes a form (`multipart/form-data`, RFC 7578) in the place of JSON.
  public var formInput: Input { Input(self, takesForms: true) }

  /// The boundary of the form that the body is; nil if it is none, or has none.
  var formBoundary: Boundary? { raw.parameter("CONTENT_TYPE").flatMap(Boundary.init(contentType:)) }
}

extension Input {
  /// The fields of a form, which are understood when they are asked for: whatever is wrong with one that nobody knows, it is ignored.
  struct Form {
    /// By name, in the order in which they came.
    private let parts: [String: [MultipartForm.Part]]

    /// What the parts of one name are.
    enum Field {
      case absent
      case text(String)
      case file(FormFile)
      /// There is a part, and it cannot be understood.
      case wrong(MultipartError)
      case several
    }

    init(_ body: [UInt8], boundary: Boundary) throws(MultipartError) {
      // Of an input element in which no file was chosen browsers send an empty file without a name.
      let sent = try MultipartForm(body, boundary: boundary).parts.filter { !$0.content.isEmpty || $0.headers.filename?.isEmpty != true }
      parts = Dictionary(grouping: sent, by: \.headers.name)
    }

    subscript(name: String) -> Field {
      guard let parts = parts[name], let part = parts.first else { return .absent }
      guard parts.count == 1 else { return .several }
      do throws(MultipartError) {
        if part.headers.filename == nil { return .text(try part.text()) }
        return .file(try FormFile(part))
      } catch {
        return .wrong(error)
      }
    }

    /// The texts that there are.
    var texts: [String: JSONValue] {
      parts.keys.reduce(into: [:]) { texts, name in
        if case .text(let text) = self[name] { texts[name] = .string(text) }
      }
    }

    /// The same for the same parts, whatever the boundary was.
    func update(_ hash: inout SHA256) {
      for (name, parts) in parts.sorted(by: { $0.key < $1.key }) {
        for part in parts where part.headers.filename == nil {
          hash.update(data: Array("\(name.utf8.count) \(name) \(part.content.count) ".utf8))
          hash.update(data: part.content)
          hash.update(data: Array(" \(part.charset ?? "")".utf8))
        }
      }
      for (name, parts) in parts.sorted(by: { $0.key < $1.key }) {
        for part in parts {
          guard let filename = part.headers.filename else { continue }
          hash.update(data: Array("\(name.utf8.count) \(name) \(filename.utf8.count) \(filename) \(part.content.count) ".utf8))
          hash.update(data: part.content)
        }
      }
    }
  }
}
