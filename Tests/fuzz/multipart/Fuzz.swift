// The multipart parser under libFuzzer: whatever the bytes are it neither crashes nor hangs, it gives the same however they are cut, and
// what it gives was in them.

/// What a way of feeding a body comes to: the parts with their contents, and the error, if there was one.
private struct Outcome: Equatable {
  var parts: [(headers: PartHeaders, content: [UInt8])] = []
  var ended = 0
  var error: MultipartError?

  static func == (a: Outcome, b: Outcome) -> Bool {
    a.ended == b.ended && a.error == b.error && a.parts.count == b.parts.count
      && zip(a.parts, b.parts).allSatisfy { $0.headers == $1.headers && $0.content == $1.content }
  }
}

private func outcome(_ body: ArraySlice<UInt8>, _ boundary: Boundary, cut: (Int) -> Int) -> Outcome {
  var outcome = Outcome()
  var parser = MultipartParser(boundary: boundary)
  var rest = body
  do throws(MultipartError) {
    while !rest.isEmpty {
      let piece = rest.prefix(cut(rest.count))
      rest = rest.dropFirst(piece.count)
      try parser.feed(piece) { event throws(MultipartError) in
        switch event {
        case .part(let headers): outcome.parts.append((headers, []))
        case .content(let bytes): outcome.parts[outcome.parts.count - 1].content += bytes
        case .end: outcome.ended += 1
        }
      }
    }
    try parser.finish()
  } catch {
    outcome.error = error
  }
  return outcome
}

/// The first byte says how the body is cut, the first line is the Content-Type, the rest is the body.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMultipart(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard let seed = input.first, let line = input.firstIndex(of: 10) else { return 0 }
  let contentType = String(decoding: input[1..<max(1, line)], as: UTF8.self)
  guard let boundary = Boundary(contentType: contentType) else { return 0 }
  let body = input[(line + 1)...]

  let whole = outcome(body, boundary) { $0 }
  var random = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1
  let pieces = outcome(body, boundary) { _ in
    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return seed < 8 ? 1 : 1 + Int(random >> 59)
  }
  precondition(whole == pieces, "the way of cutting makes a difference")
  precondition(whole.error != nil || whole.ended == whole.parts.count, "a part without an end")
  precondition(whole.parts.reduce(0) { $0 + $1.content.count } <= body.count, "more than there was")

  do throws(MultipartError) {
    let form = try MultipartForm(Array(body), boundary: boundary)
    precondition(whole.error == nil, "a form of what is none")
    precondition(form.parts.count == whole.parts.count)
    for (part, seen) in zip(form.parts, whole.parts) {
      precondition(part.headers == seen.headers && part.content.elementsEqual(seen.content), "another part")
      if let decoded = try? part.decoded() { precondition(decoded.count <= part.content.count, "more than was encoded") }
      // A byte of an encoding other than UTF-8 is a character of three at most.
      if let text = try? part.text() { precondition(text.utf8.count <= 3 * part.content.count, "more text than there was") }
      // Three of a name's bytes, `%22`, become one, and no header is longer than the limit.
      precondition((part.headers.filename?.utf8.count ?? 0) <= 3 * 4096, "a name longer than its header")
    }
  } catch {
    precondition(whole.error == error, "another error")
  }
  return 0
}
