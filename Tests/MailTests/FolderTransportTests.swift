import Foundation
import Mail
import Testing

@Suite("mail into a folder")
struct FolderTransportTests {
  let folder = FileManager.default.temporaryDirectory.appending(path: "chatty-mail-\(UUID().uuidString)").path

  func message(_ text: String) throws -> MailMessage {
    let ada = try Mailbox(address: "ada@example.org")
    return MailMessage(from: ada, to: ada, subject: "Hello", messageID: "1", date: 0, text: text)
  }

  @Test("each mail is one file that only its owner can read, and the same mail again is the same file")
  func delivery() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let transport = FolderTransport(folder: folder)
    try transport.deliver(try message("first"), name: "1")
    try transport.deliver(try message("second"), name: "2")
    try transport.deliver(try message("first"), name: "1")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["1.eml", "2.eml"])
    #expect(try Data(contentsOf: URL(filePath: "\(folder)/1.eml")) == Data(message("first").encoded()))
    let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder)/1.eml")
    #expect(attributes[.posixPermissions] as? Int == 0o600)
  }

  @Test("a folder that is not there is a failure that may pass")
  func missing() throws {
    let transport = FolderTransport(folder: folder)
    let error = #expect(throws: MailError.self) { try transport.deliver(try message("x"), name: "1") }
    guard case .unavailable? = error else {
      Issue.record("another error: \(String(describing: error))")
      return
    }
  }
}
