import Logging
import ServiceKit
import TestSupport
import Testing

@Suite("settings")
struct SettingsTests {
  @Test("without any variable there are defaults, and the service's name is its pool and in its role")
  func defaults() throws {
    let settings = try Settings([:], name: "posts")
    #expect(settings.home == ".chatty")
    #expect(settings.pool == "posts")
    #expect(settings.database.url == "postgresql:///chatty?host=.chatty/run")
    #expect(settings.database.user == "chatty_posts")
    #expect(settings.database.password == nil)
    #expect(settings.database.applicationName == "chatty-posts")
    #expect(settings.database.statementTimeout == .seconds(5))
    #expect(settings.database.idleTransactionTimeout == .seconds(10))
    #expect(settings.database.preparesStatements)
    #expect(settings.queueTime == .seconds(7) && settings.workTime == .seconds(10) && settings.drainTime == .seconds(30))
    #expect(settings.writeConnections == 4)
    #expect(settings.requestsInFlight == 32)
    #expect(settings.keys == ".chatty/keys")
    #expect(settings.publicURL == "http://localhost:8080")
    #expect(settings.logLevel == .notice)
    #expect(settings.passwordCost == 12)
    #expect(settings.unverifiedDays == 7)
    #expect(settings.recommendationNeighbours == 3)
    #expect(settings.imageSandbox)
    #expect(settings.smtpURL == nil)
    #expect(settings.mailFrom == "Chatty <no-reply@localhost>")
  }

  @Test("variables win over defaults, and an empty one counts as not set")
  func variables() throws {
    let folder = try TemporaryFolder()
    try folder.write("a secret\nand more\n", to: "password")
    let settings = try Settings(
      [
        "CHATTY_HOME": "/srv/chatty", "CHATTY_POOL": "login", "CHATTY_DATABASE_URL": "host=db dbname=x", "CHATTY_DATABASE_USER": "me",
        "CHATTY_DATABASE_PASSWORD_FILE": "\(folder.path)/password", "CHATTY_STATEMENT_TIMEOUT": "1500", "CHATTY_PREPARED_STATEMENTS": "off",
        "CHATTY_WRITE_CONNECTIONS": "1", "CHATTY_IN_FLIGHT": "1", "CHATTY_QUEUE_TIME": "60000",
        "CHATTY_WORK_TIME": "125000", "CHATTY_DRAIN_TIME": "190000", "CHATTY_KEYS": "", "CHATTY_PUBLIC_URL": "https://chat.example:8443//",
        "CHATTY_LOG_LEVEL": "debug", "CHATTY_PASSWORD_COST": "15", "CHATTY_SMTP_URL": "smtps://mail.example:465",
        "CHATTY_MAIL_FROM": "x@example.org", "OTHER": "\n",
      ], name: "auth")
    #expect(settings.pool == "login")
    #expect(settings.database.url == "host=db dbname=x")
    #expect(settings.database.user == "me")
    #expect(settings.database.password == "a secret")
    #expect(settings.database.applicationName == "chatty-login")
    #expect(settings.database.statementTimeout == .milliseconds(1500))
    #expect(settings.database.idleTransactionTimeout == .seconds(125))
    #expect(settings.queueTime == .seconds(60) && settings.workTime == .seconds(125) && settings.drainTime == .seconds(190))
    #expect(!settings.database.preparesStatements)
    #expect(settings.writeConnections == 1 && settings.requestsInFlight == 1)
    #expect(settings.keys == "/srv/chatty/keys")
    #expect(settings.publicURL == "https://chat.example:8443")
    #expect(settings.logLevel == .debug)
    #expect(settings.passwordCost == 15)
    #expect(settings.smtpURL == "smtps://mail.example:465")
    #expect(settings.mailFrom == "x@example.org")
  }

  @Test(
    "a wrong one is named",
    arguments: [
      ("CHATTY_HOME", "/srv\n/x"), ("CHATTY_POOL", "a\u{1}"), ("CHATTY_DATABASE_URL", "nonsense"),
      ("CHATTY_DATABASE_URL", "postgresql://["),
      ("CHATTY_DATABASE_URL", "nokeyword=1"), ("CHATTY_DATABASE_USER", "a\tb"), ("CHATTY_DATABASE_PASSWORD_FILE", "/nowhere/password"),
      ("CHATTY_STATEMENT_TIMEOUT", "99"), ("CHATTY_STATEMENT_TIMEOUT", "600001"), ("CHATTY_STATEMENT_TIMEOUT", "5s"),
      ("CHATTY_PREPARED_STATEMENTS", "yes"), ("CHATTY_WRITE_CONNECTIONS", "0"), ("CHATTY_WRITE_CONNECTIONS", "65"),
      ("CHATTY_IN_FLIGHT", "0"), ("CHATTY_IN_FLIGHT", "1025"), ("CHATTY_IN_FLIGHT", "-1"), ("CHATTY_IN_FLIGHT", "99999999999999999999"),
      ("CHATTY_IN_FLIGHT", " 1"), ("CHATTY_KEYS", "\u{7}"), ("CHATTY_PUBLIC_URL", "chat.example"),
      ("CHATTY_PUBLIC_URL", "ftp://chat.example"),
      ("CHATTY_PUBLIC_URL", "http://"), ("CHATTY_PUBLIC_URL", "http:////"), ("CHATTY_PUBLIC_URL", "http://a b"),
      ("CHATTY_PUBLIC_URL", "https://chat.example/net"), ("CHATTY_PUBLIC_URL", "https://chat.example/net/"),
      ("CHATTY_PUBLIC_URL", "https://chat.example/?a"), ("CHATTY_PUBLIC_URL", "https://chat.example?a"),
      ("CHATTY_PUBLIC_URL", "https://chat.example#a"), ("CHATTY_PUBLIC_URL", "https://me:x@chat.example"),
      ("CHATTY_PUBLIC_URL", "https://chat.example\\net"), ("CHATTY_IMAGE_SANDBOX", "perhaps"),
      ("CHATTY_LOG_LEVEL", "loud"),
      ("CHATTY_LOG_LEVEL", "DEBUG"), ("CHATTY_PASSWORD_COST", "9"), ("CHATTY_PASSWORD_COST", "16"), ("CHATTY_PASSWORD_COST", "12.5"),
      ("CHATTY_RECOMMENDATION_NEIGHBOURS", "0"), ("CHATTY_RECOMMENDATION_DAMPING", "-1"), ("CHATTY_RECOMMENDATION_INTERVAL", "86401"),
      ("CHATTY_UNVERIFIED_DAYS", "-1"), ("CHATTY_UNVERIFIED_DAYS", "31"),
      ("CHATTY_SMTP_URL", "mail.example"), ("CHATTY_SMTP_URL", "http://mail.example"),
      ("CHATTY_MAIL_FROM", "a\r\nBcc: b"),
    ])
  func wrong(name: String, value: String) throws {
    let error = #expect(throws: SettingError.self) { try Settings([name: value], name: "posts") }
    #expect(error?.name == name)
    #expect(error?.description.hasPrefix("\(name) ") == true)
    #expect(error?.description.contains("\n") == false)
  }

  @Test("a password file without a password is wrong")
  func emptyPassword() throws {
    let folder = try TemporaryFolder()
    for (name, content) in [("empty", ""), ("blank", "\nsecond line")] {
      try folder.write(content, to: name)
      let error = #expect(throws: SettingError.self) {
        try Settings(["CHATTY_DATABASE_PASSWORD_FILE": "\(folder.path)/\(name)"], name: "posts")
      }
      #expect(error?.name == "CHATTY_DATABASE_PASSWORD_FILE")
    }
  }

  @Test("a password in an address that is wrong is not shown")
  func secrecy() {
    let error = #expect(throws: SettingError.self) {
      try Settings(["CHATTY_DATABASE_URL": "postgresql://me:swordfish@[::1/x"], name: "posts")
    }
    #expect(error?.description.contains("swordfish") == false)
  }
}
