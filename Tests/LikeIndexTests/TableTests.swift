import LikeIndex
import TestSupport
import Testing

@Suite("parts of the builder")
struct TableTests {
  @Test("the checksum is XXH64")
  func checksum() {
    // By the reference implementation (xxhash 0.8), of so many words i * 2654435761 + 1, least significant byte first.
    let known: [(count: Int, hash: UInt64)] = [
      (0, 0xef46_db37_51d8_e999), (1, 0xf42f_9400_1fcb_5351), (2, 0xaa50_e59e_8dcb_5a70), (3, 0x69ae_e0cb_288f_0c5c),
      (7, 0xc82b_7139_4210_657a), (8, 0x34f9_3380_288f_a1dd), (9, 0x4e41_7f97_b9f4_ee88), (15, 0x37e0_99c6_da68_a89e),
      (16, 0xd5b9_73ee_0698_1040), (21, 0xbcbc_dfd2_4d0d_0f40), (1000, 0x36a4_377f_9801_11ba),
    ]
    for (count, expected) in known {
      let words = (0..<count).map { UInt32(truncatingIfNeeded: $0 * 2_654_435_761 + 1) }
      var whole = XXHash64()
      whole.update(words.span)
      #expect(whole.digest == expected, "\(count) words")
      var pieces = XXHash64()
      for start in stride(from: 0, to: count, by: 16) { pieces.update(words[start..<min(start + 16, count)].span) }
      #expect(pieces.digest == expected, "\(count) words in pieces")
    }
  }

  @Test("ids get numbers in the order in which they come, once")
  func ids() {
    var random = SeededGenerator(seed: 30)
    var table = IDTable()
    var numbers: [Int64: Int] = [:]
    for _ in 0..<20_000 {
      let id = Int64.random(in: .random(in: 0..<3, using: &random) == 0 ? .min ... .max : 0...5_000, using: &random)
      #expect(table.number(of: id) == numbers[id])
      let number = table.add(id)
      #expect(number == numbers[id] ?? numbers.count)
      numbers[id] = number
    }
    #expect(table.ids.count == numbers.count && numbers.count > 5_000)
    for (id, number) in numbers { #expect(table.number(of: id) == number && table.ids[number] == id) }
  }
}
