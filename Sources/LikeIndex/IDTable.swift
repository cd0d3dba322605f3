/// Numbers for ids, in the order in which they were added: 0, 1, 2, …
///
/// Open addressing with linear probing over a power of two of places, at most half of them taken. It is asked twice for every like of
/// a snapshot; the standard library's dictionary, whose hash withstands attackers, takes several times as long.
package struct IDTable {
  package private(set) var ids: [Int64] = []
  /// The number of an id plus 1; 0 is a free place.
  private var places: [UInt32]
  private var shift: UInt64

  package init() {
    places = [UInt32](repeating: 0, count: 1024)
    shift = 54
  }

  var count: Int { ids.count }

  /// nil for an id that was not added.
  @inline(__always)
  package func number(of id: Int64) -> Int? {
    let place = Int(places[self.place(of: id)])
    return place == 0 ? nil : place - 1
  }

  /// The number of an id, which is added unless it was.
  @inline(__always)
  package mutating func add(_ id: Int64) -> Int {
    let place = place(of: id)
    if places[place] != 0 { return Int(places[place]) - 1 }
    ids.append(id)
    places[place] = UInt32(ids.count)
    if ids.count * 2 > places.count { grow() }
    return ids.count - 1
  }

  /// Where an id is, or would be put. The multiplication spreads ids that follow each other (Fibonacci hashing).
  @inline(__always)
  private func place(of id: Int64) -> Int {
    var place = Int(truncatingIfNeeded: (UInt64(bitPattern: id) &* 0x9E37_79B9_7F4A_7C15) >> shift)
    while places[place] != 0, ids[Int(places[place]) - 1] != id { place = (place + 1) & (places.count - 1) }
    return place
  }

  private mutating func grow() {
    places = [UInt32](repeating: 0, count: places.count * 2)
    shift -= 1
    for (number, id) in ids.enumerated() { places[place(of: id)] = UInt32(number + 1) }
  }
}
