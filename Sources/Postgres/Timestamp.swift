/// A point in time as PostgreSQL's `timestamptz` keeps it; `description` is RFC 3339 in UTC.
public struct Timestamp: Equatable, Comparable, Sendable, CustomStringConvertible {
  /// Microseconds since 2000-01-01T00:00:00Z.
  public let microseconds: Int64

  /// The microseconds of the finite times that PostgreSQL takes: from 4714-11-24 BC to the end of the year 294276 (manual, 8.5).
  public static let storable = -211_813_488_000_000_000...9_223_371_331_199_999_999 as ClosedRange<Int64>

  public init(microseconds: Int64) { self.microseconds = microseconds }

  public static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }

  /// Seconds since 1970-01-01T00:00:00Z, rounded down.
  public var unixSeconds: Int64 { Self.floorDivide(microseconds, 1_000_000).quotient + Self.epoch }

  /// From 1970-01-01 to 2000-01-01, in seconds.
  private static let epoch: Int64 = 946_684_800

  /// RFC 3339, section 5.6, in UTC with microseconds: `2026-11-23T09:15:00.123456Z`. For years 0 to 9999.
  public var description: String {
    let (seconds, fraction) = Self.floorDivide(microseconds, 1_000_000)
    let (days, second) = Self.floorDivide(seconds, 86_400)
    let date = Self.civil(daysSince2000: days)
    return String(unsafeUninitializedCapacity: 27) { buffer in
      var place = 0
      func put(_ value: Int64, digits: Int, then separator: Character) {
        var rest = value
        for offset in stride(from: place + digits - 1, through: place, by: -1) {
          buffer[offset] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
          rest /= 10
        }
        place += digits
        buffer[place] = separator.asciiValue ?? 0
        place += 1
      }
      put(date.year, digits: 4, then: "-")
      put(date.month, digits: 2, then: "-")
      put(date.day, digits: 2, then: "T")
      put(second / 3600, digits: 2, then: ":")
      put(second / 60 % 60, digits: 2, then: ":")
      put(second % 60, digits: 2, then: ".")
      put(fraction, digits: 6, then: "Z")
      return place
    }
  }

  /// The proleptic Gregorian date, counted from the first of March of year 0, so that a leap day is the last day of its year.
  private static func civil(daysSince2000 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let daysToYear2000: Int64 = 730_425
    let (era, dayOfEra) = floorDivide(days + daysToYear2000, 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
  }

  private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}

extension Timestamp: Encodable {
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
