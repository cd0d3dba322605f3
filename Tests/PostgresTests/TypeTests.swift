import EventLoop
import Postgres
import TestSupport
import Testing

/// Values there and back.
@Suite("types of PostgreSQL", .serialized)
struct TypeTests {
  /// A row of one column of any type.
  struct Single<Value: PostgresDecodable & Sendable>: RowDecodable {
    let value: Value?
    init(row: inout RowReader) throws(PostgresError) { value = try row.next() }
  }

  static func roundTrip<Value: PostgresEncodable & PostgresDecodable & Sendable>(
    _ values: [Value], on client: TestClient
  ) async throws -> [Value?] {
    var back: [Value?] = []
    for value in values { back.append(try await client.client.readOne("SELECT \(value)", as: Single<Value>.self)?.value) }
    return back
  }

  @Test("every value comes back as it was sent, prepared or not", arguments: [true, false])
  func roundTrips(prepares: Bool) async throws {
    try await withClient(preparesStatements: prepares) { test async throws in
      let integers: [Int64] = [0, 1, -1, .min, .max, 1 << 32, 255]
      #expect(try await Self.roundTrip(integers, on: test) == integers)
      #expect(try await Self.roundTrip([Int.min, 0, .max], on: test) == [.min, 0, .max])
      #expect(try await Self.roundTrip([true, false], on: test) == [true, false])
      let doubles = [0, -0.0, 1.5, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, .infinity, -.infinity, .pi]
      #expect(try await Self.roundTrip(doubles, on: test) == doubles)
      #expect(try await Self.roundTrip([-0.0], on: test).first??.sign == .minus)
      #expect(try await Self.roundTrip([Double.nan], on: test).first??.isNaN == true)
      let texts = [
        "", " ", "a", "it's \"so\" \\ $1 %s", "\n\r\t\u{1}\u{7f}", "äöü€🎈👩‍👩‍👧", "e\u{301}", String(repeating: "x", count: 1_000_000),
      ]
      #expect(
        try await Self.roundTrip(texts, on: test).map { $0.map { Array($0.unicodeScalars) } } == texts.map { Array($0.unicodeScalars) })
      let bytes: [[UInt8]] = [[], [0], Array(0...255), Array(repeating: 0, count: 100_000)]
      #expect(try await Self.roundTrip(bytes, on: test) == bytes)
      let times = [Timestamp(microseconds: 0), Timestamp(microseconds: -1), Timestamp(microseconds: 800_000_000_000_001)]
      #expect(try await Self.roundTrip(times, on: test) == times)
    }
  }

  @Test("nil is NULL and NULL is nil, of every type")
  func nulls() async throws {
    try await withClient { test async throws in
      struct Row: RowDecodable {
        let areNil: [Bool]
        init(row: inout RowReader) throws(PostgresError) {
          let int: Int64? = try row.next()
          let bool: Bool? = try row.next()
          let double: Double? = try row.next()
          let text: String? = try row.next()
          let bytes: [UInt8]? = try row.next()
          let time: Timestamp? = try row.next()
          areNil = [int == nil, bool == nil, double == nil, text == nil, bytes == nil, time == nil]
        }
      }
      let row = try await test.client.readOne(
        """
        SELECT \(nil as Int64?), \(nil as Bool?), \(nil as Double?), \(nil as String?), \(nil as [UInt8]?), \(nil as Timestamp?)
        """, as: Row.self)
      #expect(row?.areNil == Array(repeating: true, count: 6))
      let isNull = try await test.client.readOne(
        "SELECT \(nil as IDList?) IS NULL AND \(nil as Int?) IS NULL AND \("" as String?) IS NOT NULL AND \([] as [UInt8]?) IS NOT NULL",
        as: Bool.self)
      #expect(isNull == true)
    }
  }

  @Test("a list of ids is an array, the empty one too", arguments: [[], [7], [.min, 0, .max], Array(1...10_000)] as [[Int64]])
  func idLists(ids: [Int64]) async throws {
    try await withClient { test async throws in
      #expect(try await test.client.read("SELECT unnest(\(IDList(ids)))", as: Int64.self) == ids)
      #expect(try await test.client.readOne("SELECT cardinality(\(IDList(ids)))", as: Int64.self) == Int64(ids.count))
      #expect(try await test.client.readOne("SELECT \(Int64(7)) = ANY(\(IDList(ids)))", as: Bool.self) == ids.contains(7))
    }
  }

  @Test("smaller integers and other texts can be read too")
  func otherTypes() async throws {
    try await withClient { test async throws in
      #expect(try await test.client.readOne("SELECT -7::int2", as: Int64.self) == -7)
      #expect(try await test.client.readOne("SELECT (-2147483648)::int4", as: Int64.self) == -2_147_483_648)
      for (query, text) in [
        ("SELECT 'v'::varchar(3)", "v"), ("SELECT 'b'::char(3)", "b  "), ("SELECT 'n'::name", "n"),
        ("SELECT '{\"a\": 1}'::json", "{\"a\": 1}"),
        ("SELECT 'u'", "u"),
      ] as [(Query, String)] {
        #expect(try await test.client.readOne(query, as: String.self) == text)
      }
    }
  }

  @Test("a column of another type, NULL where none may be, and a column too few are errors of decoding that name the column")
  func mismatches() async throws {
    try await withClient { test async throws in
      for query in [
        "SELECT 1::numeric", "SELECT 'text'", "SELECT NULL::bigint", "SELECT 1.5::float8", "SELECT true", "SELECT now()",
        "SELECT '{}'::jsonb",
      ] as [Query] {
        let error = await #expect(throws: PostgresError.self) { try await test.client.readOne(query, as: Int64.self) }
        #expect(error?.kind == .decoding)
        #expect(error?.message.contains("column 1") == true)
      }
      struct Pair: RowDecodable {
        init(row: inout RowReader) throws(PostgresError) {
          let _: Int64 = try row.next()
          let _: Int64 = try row.next()
        }
      }
      let error = await #expect(throws: PostgresError.self) { try await test.client.readOne("SELECT 1::bigint", as: Pair.self) }
      #expect(error?.kind == .decoding && error?.message.contains("column 2") == true)
      #expect(try await test.client.readOne("SELECT 2::bigint, 3::bigint", as: Int64.self) == 2)
    }
  }

  @Test("a NUL in a text is refused by the server, and nobody beside it notices")
  func nulInText() async throws {
    try await withClient { test async throws in
      let results = await PipelineTests.each(3) { index in
        try await test.client.readOne("SELECT \(index == 1 ? "a\0b" : "ab")", as: String.self)
      }
      #expect(try results[0].get() == "ab" && results[2].get() == "ab")
      #expect(results[1].state == "22021")
    }
  }

  // MARK: Timestamps

  struct Formatted: RowDecodable {
    let time: Timestamp
    let text: String
    let seconds: Int64
    init(row: inout RowReader) throws(PostgresError) {
      time = try row.next()
      text = try row.next()
      seconds = try row.next()
    }
  }

  static let asRFC3339: Query = """
    SELECT t, to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), floor(extract(epoch FROM t))::bigint FROM
    """

  @Test("timestamps are written as PostgreSQL writes them, for random times of the years 1 to 9999")
  func randomTimestamps() async throws {
    try await withClient { test async throws in
      let rows = try await test.client.read(
        """
        \(Self.asRFC3339) (
          SELECT timestamptz '0001-01-01 00:00:00Z' + random() * (timestamptz '9999-12-31 23:59:59Z' - timestamptz '0001-01-01 00:00:00Z')
          FROM generate_series(1, 20000)
        ) s (t)
        """, as: Formatted.self)
      #expect(rows.count == 20_000)
      #expect(rows.filter { $0.time.description != $0.text }.isEmpty)
      #expect(rows.filter { $0.time.unixSeconds != $0.seconds }.isEmpty)
    }
  }

  @Test("and for every day around the ends of months and centuries, to the microsecond before midnight")
  func specialTimestamps() async throws {
    try await withClient { test async throws in
      let rows = try await test.client.read(
        """
        \(Self.asRFC3339) (
          SELECT day + part
          FROM unnest(ARRAY[1, 4, 100, 400, 1582, 1600, 1700, 1899, 1900, 1969, 1970, 1999, 2000, 2001, 2024, 2026, 2100, 2400, 9999]) year,
            LATERAL generate_series(make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC'), make_timestamptz(year, 12, 31, 0, 0, 0, 'UTC'), interval '1 day') day,
            unnest(ARRAY[interval '0', interval '1 microsecond', interval '23:59:59.999999']) part
        ) s (t)
        """, as: Formatted.self)
      #expect(rows.count > 19 * 365 * 3)
      #expect(rows.filter { $0.time.description != $0.text }.isEmpty)
      #expect(rows.filter { $0.time.unixSeconds != $0.seconds }.isEmpty)
    }
  }

  @Test("times that have no such form, like infinity, do no harm")
  func extremes() async throws {
    try await withClient { test async throws in
      for query in [
        "SELECT 'infinity'::timestamptz", "SELECT '-infinity'::timestamptz", "SELECT '4713-01-01 BC'::timestamptz",
        "SELECT '294276-12-31'::timestamptz",
      ] as [Query] {
        let time = try await test.client.readOne(query, as: Single<Timestamp>.self)?.value
        #expect(time?.description.utf8.count == 27)
        #expect(time?.unixSeconds != nil)
      }
    }
  }

  @Test("timestamps are ordered as times are")
  func order() {
    #expect(Timestamp(microseconds: -1) < Timestamp(microseconds: 0))
    #expect(Timestamp(microseconds: .min) < Timestamp(microseconds: .max))
  }
}

extension Result where Failure == any Error {
  /// What an asynchronous body gives or throws.
  init(isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}
