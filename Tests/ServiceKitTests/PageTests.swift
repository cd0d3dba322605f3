import EventLoop
import ServiceKit
import TestSupport
import Testing

@Suite("pages of a list")
struct PageTests {
  private static let count: Int64 = 120
  private static let largest = Int64.max - 1

  /// Lists of ids: 120, 119, … 1 and 1, 2, … 120, and one of ids as large as they get.
  @Worker
  static let routes: [Route] = [
    .get(
      "/newest",
      { request, _ throws(APIError) in
        let page = try request.page()
        let rows = (1...count).reversed().filter { $0 < page.before }.prefix(page.fetch)
        return .list(Array(rows), page, request) { $0 }
      }),
    .get(
      "/oldest",
      { request, _ throws(APIError) in
        let page = try request.page()
        return .list(Array((1...count).filter { $0 > page.after }.prefix(page.fetch)), page, request) { $0 }
      }),
    .get(
      "/large",
      { request, _ throws(APIError) in
        let page = try request.page()
        return .list([largest, largest - 1, largest - 2, 256, 255, 1].filter { $0 < page.before }, page, request) { $0 }
      }),
    .get(
      "/member",
      { request, _ throws(APIError) in
        let page = try request.page()
        let rows = Array((1...count).filter { $0 > page.after }.prefix(page.fetch))
        return .page({ ["ids": $0] }, of: rows, page, request) { $0 }
      }),
  ]

  /// The address in a `Link` header.
  static func next(_ response: ClientResponse) -> String? {
    guard let link = response["Link"], link.hasPrefix("<"), link.hasSuffix(">; rel=\"next\"") else { return nil }
    return String(link.dropFirst().dropLast(">; rel=\"next\"".count))
  }

  /// Every page from an address on.
  static func walk(_ first: String) async throws -> [[Int64]] {
    let client = try await TestService.start(await routes).client()
    var pages: [[Int64]] = []
    var target: String? = first
    while let present = target {
      let response = try await client.get(present)
      guard case .array(let ids)? = response.json else { throw TestError("no list: \(response.text)") }
      pages.append(ids.compactMap { if case .integer(let id) = $0 { id } else { nil } })
      target = next(response)
    }
    return pages
  }

  @Test("following the links gives every row once, in order, whatever the limit", arguments: [1, 7, 50, 60, 99, 100])
  func walking(limit: Int) async throws {
    let newest = try await Self.walk("/newest?limit=\(limit)")
    #expect(newest.flatMap { $0 } == Array((1...Self.count).reversed()))
    #expect(newest.dropLast().allSatisfy { $0.count == limit })
    #expect(newest.last?.isEmpty == false)
    #expect(try await Self.walk("/oldest?limit=\(limit)").flatMap { $0 } == Array(1...Self.count))
  }

  @Test("without a limit a page has 50 rows, and the last page has no link")
  func defaultLimit() async throws {
    #expect(try await Self.walk("/newest").map(\.count) == [50, 50, 20])
    #expect(try await Self.walk("/newest?limit=60").map(\.count) == [60, 60])
  }

  @Test("ids of every size are cursors")
  func largeIDs() async throws {
    #expect(try await Self.walk("/large?limit=1").flatMap { $0 } == [Self.largest, Self.largest - 1, Self.largest - 2, 256, 255, 1])
  }

  @Test("a page may be a member of a larger body")
  func member() async throws {
    let client = try await TestService.start(await Self.routes).client()
    let first = try await client.get("/member?limit=2")
    #expect(first.json == ["ids": [1, 2]])
    let second = try await client.get(try #require(Self.next(first)))
    #expect(second.json == ["ids": [3, 4]])
  }

  @Test("a link keeps the other fields of the query as they were sent, and its own limit")
  func otherFields() async throws {
    let client = try await TestService.start(await Self.routes).client()
    let link = Self.next(try await client.get("/newest?user_id=7&q=a+b%26&limit=2&c%75rsor=&x"))
    #expect(link?.hasPrefix("/newest?user_id=7&q=a+b%26&x&limit=2&cursor=") == true)
    #expect(Self.next(try await client.get("/n%65west"))?.hasPrefix("/n%65west?limit=50&cursor=") == true)
  }

  @Test("nothing in a query gets out of the link's address")
  func injection() async throws {
    let client = try await TestService.start(await Self.routes).client()
    let link = try await client.get("/newest?limit=2&x=>;rel=\"prev\",<http://evil.example>")["Link"]
    #expect(link?.filter { $0 == "<" || $0 == ">" } == "<>")
    #expect(link?.contains(#"x=%3E;rel=%22prev%22,%3Chttp://evil.example%3E&"#) == true)
  }

  @Test(
    "a limit outside of 1 to 100 is refused",
    arguments: [
      ("0", "greater_than_equal"), ("-1", "greater_than_equal"), ("101", "less_than_equal"), ("x", "int_parsing"), ("", "int_parsing"),
    ])
  func limits(limit: String, type: String) async throws {
    let response = try await TestService.start(await Self.routes).client().get("/newest?limit=\(limit)")
    #expect(response.status == 422)
    #expect(response.json?["detail"]?[0]?["type"] == .string(type))
    #expect(response.json?["detail"]?[0]?["loc"] == ["query", "limit"])
  }

  @Test(
    "a cursor that no list has given out is refused",
    arguments: ["x", "AA", "AAE", "AQ==", "AQ%3D", "%00", "AR", "gAAAAAAAAAA", "AQAAAAAAAAAA", "_", "ÄÖ", "1", "-1", " AQ"])
  func garbage(cursor: String) async throws {
    let response = try await TestService.start(await Self.routes).client().get("/newest?cursor=\(cursor)")
    #expect(response.status == 422)
    #expect(response.json?["detail"]?[0]?["type"] == "value_error")
    #expect(response.json?["detail"]?[0]?["msg"] == "Value error, not a cursor of this list")
    #expect(response.json?["detail"]?[0]?["loc"] == ["query", "cursor"])
  }

  @Test("a limit and a cursor that are both wrong are told together")
  func both() async throws {
    let response = try await TestService.start(await Self.routes).client().get("/newest?cursor=x&limit=0")
    #expect(response.json?["detail"]?.count == 2)
  }

  @Test("an id has one cursor, and a cursor one id")
  func oneToOne() {
    var generator = SystemRandomNumberGenerator()
    let ids = (0..<63).flatMap { [1 << $0, (1 << $0) - 1, Int64.random(in: 0...(1 << $0), using: &generator)] } + [.max]
    for id in ids where id > 0 { #expect(Cursor.decode(Cursor.encode(id), as: Int64.self) == id) }
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. ")
    for _ in 0..<20_000 {
      let text = String((0..<Int.random(in: 0...13, using: &generator)).map { _ in alphabet.randomElement(using: &generator) ?? "A" })
      if let id = Cursor.decode(text, as: Int64.self) {
        #expect(Cursor.encode(id) == text)
        #expect(id > 0)
      }
    }
  }
}

@Suite("positions in a list by time")
struct TimedCursorTests {
  @Test("a cursor gives back the position that it was made of, and nothing else is one")
  func cursors() {
    for position in [
      TimedPosition(time: Timestamp(microseconds: 0), id: 1), TimedPosition(time: Timestamp(microseconds: -1), id: .max),
      TimedPosition(time: Timestamp(microseconds: Timestamp.storable.lowerBound), id: 256),
      TimedPosition(time: Timestamp(microseconds: Timestamp.storable.upperBound), id: 256),
    ] {
      #expect(Cursor.decode(Cursor.encode(position), as: TimedPosition.self) == position)
    }
    for text in ["", "AQ", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAD__________w", "AAAAAAAAAAAAAAAAAAAAAAAA", "!!!!!!!!!!!!!!!!!!!!!!"] {
      #expect(Cursor.decode(text, as: TimedPosition.self) == nil, "\(text)")
    }
    // Times that the database does not take.
    for time in [.min, Timestamp.storable.lowerBound - 1, Timestamp.storable.upperBound + 1, .max] {
      #expect(Cursor.decode(Cursor.encode(TimedPosition(time: Timestamp(microseconds: time), id: 1)), as: TimedPosition.self) == nil)
    }
  }
}
