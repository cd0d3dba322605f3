import Mail
import Testing

@Suite("mail messages")
struct MailMessageTests {
  func message(from: String = "Chatty <no-reply@example.org>", subject: String = "Hello", text: String = "Hello\n") throws -> MailMessage {
    MailMessage(
      from: try Mailbox(parsing: from), to: try Mailbox(address: "ada@example.org"), subject: subject, messageID: "42@example.org",
      date: 1_700_000_000, text: text)
  }

  func lines(_ message: MailMessage) -> [String] {
    String(decoding: message.encoded(), as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
  }

  @Test("a mail in ASCII goes as it is, links and all")
  func plain() throws {
    let message = try message(text: "Hello,\n\nhttp://localhost:8080/auth/verify/1?token=a=b\n.\n")
    #expect(
      String(decoding: message.encoded(), as: UTF8.self) == """
        Date: Tue, 14 Nov 2023 22:13:20 +0000\r
        From: "Chatty" <no-reply@example.org>\r
        To: <ada@example.org>\r
        Message-ID: <42@example.org>\r
        Subject: Hello\r
        MIME-Version: 1.0\r
        Content-Type: text/plain; charset=utf-8\r
        Content-Transfer-Encoding: 7bit\r
        Auto-Submitted: auto-generated\r
        \r
        Hello,\r
        \r
        http://localhost:8080/auth/verify/1?token=a=b\r
        .\r

        """)
  }

  @Test("a body outside ASCII is quoted-printable, in lines of at most 76 bytes, and only soft breaks are added")
  func quotedPrintable() throws {
    let text = "Grüße = 🎉\n" + String(repeating: "lang ß ", count: 50) + "\nblank at the end \ntab at the end\t\n"
    let mail = lines(try message(text: text))
    #expect(mail.contains("Content-Transfer-Encoding: quoted-printable"))
    #expect(mail.allSatisfy { $0.utf8.count <= 76 && $0.utf8.allSatisfy { $0 < 0x80 } })
    let start = try #require(mail.firstIndex(of: ""))
    let body = mail[(start + 1)...].joined(separator: "\r\n").replacing("=\r\n", with: "").replacing("\r\n", with: "\n")
    #expect(body.hasPrefix("Gr=C3=BC=C3=9Fe =3D =F0=9F=8E=89\n"))
    #expect(body.contains("blank at the end=20\ntab at the end=09\n"))
    #expect(body.replacing("=C3=9F", with: "ß").contains(String(repeating: "lang ß ", count: 49)))
  }

  @Test("a line too long for SMTP is broken softly")
  func longLine() throws {
    let mail = lines(try message(text: String(repeating: "x", count: 5000)))
    #expect(mail.allSatisfy { $0.utf8.count <= 76 })
    #expect(mail.contains("Content-Transfer-Encoding: quoted-printable"))
  }

  @Test("a name and a subject outside ASCII are encoded words in lines of at most 76 bytes, cut between characters")
  func encodedWords() throws {
    let mail = lines(try message(from: "Grüße 🎉 <a@example.org>", subject: String(repeating: "🎉", count: 40)))
    #expect(mail.contains("From: =?UTF-8?B?R3LDvMOfZSDwn46J?= <a@example.org>"))
    #expect(mail.allSatisfy { $0.utf8.count <= 76 && $0.utf8.allSatisfy { $0 < 0x80 } })
    let nine = "8J+OifCfjonwn46J8J+OifCfjonwn46J8J+OifCfjonwn46J"
    #expect(mail.contains("Subject: =?UTF-8?B?\(nine)?="))
    #expect(mail.filter { $0 == " =?UTF-8?B?\(nine)?=" }.count == 3)
    #expect(mail.contains(" =?UTF-8?B?8J+OifCfjonwn46J8J+OiQ==?="))
  }

  @Test("a long subject in ASCII is folded between words")
  func folding() throws {
    let subject = Array(repeating: "word", count: 60).joined(separator: " ")
    let mail = lines(try message(subject: subject))
    let start = try #require(mail.firstIndex { $0.hasPrefix("Subject:") })
    let folded = mail[start...].prefix { $0.hasPrefix("Subject:") || $0.hasPrefix(" ") }
    #expect(folded.joined() == "Subject: \(subject)" && folded.allSatisfy { $0.utf8.count <= 78 })
  }

  @Test(
    "nothing in a subject or a name can begin another header",
    arguments: ["\r\nBcc: eve@example.org", "\nBcc: eve@example.org", "\r", "\0"])
  func injection(attack: String) throws {
    let honest = lines(try message()).count
    #expect(lines(try message(subject: "Hello\(attack)")).count == honest)
    let named = MailMessage(
      from: try Mailbox(name: "Chatty\(attack)", address: "a@example.org"), to: try Mailbox(address: "b@example.org"), subject: "x",
      messageID: "1", date: 0, text: "")
    #expect(lines(named).contains { $0.hasPrefix("Bcc") } == false)
  }

  @Test("quotation marks and backslashes in a name are escaped")
  func quoting() throws {
    let from = try Mailbox(name: #"The "Real" \Chatty"#, address: "a@example.org")
    let message = MailMessage(from: from, to: from, subject: "x", messageID: "1", date: 0, text: "")
    #expect(lines(message).contains(#"From: "The \"Real\" \\Chatty" <a@example.org>"#))
  }
}

@Suite("mailboxes")
struct MailboxTests {
  @Test(
    "a setting gives an address with or without a name",
    arguments: [
      ("a@example.org", "", "a@example.org"), ("<a@example.org>", "", "a@example.org"), ("Ada <a@example.org>", "Ada", "a@example.org"),
      (" \"Ada L.\"  <a@example.org> ", "Ada L.", "a@example.org"), ("no-reply@localhost", "", "no-reply@localhost"),
    ])
  func parsing(text: String, name: String, address: String) throws {
    let mailbox = try Mailbox(parsing: text)
    #expect(mailbox.name == name && mailbox.address == address)
    #expect(mailbox.domain == address.split(separator: "@")[1])
  }

  @Test(
    "what could end an address is refused",
    arguments: [
      "", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nRCPT TO:<c@d>", "a@b\n", "a@b>", "<a@b", "a\0@b", "ä@b",
      String(repeating: "a", count: 253) + "@b",
    ])
  func refused(address: String) {
    #expect(throws: MailError.invalidAddress) { try Mailbox(address: address) }
  }
}
