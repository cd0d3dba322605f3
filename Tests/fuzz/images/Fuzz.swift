// The walk through an image's file under libFuzzer: whatever the bytes are it neither crashes nor hangs, it takes no file for larger than
// what may be decoded, and what it gives to a decoder it takes for the same image again.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzImages(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard let file = try? ImageFile(input[...]) else { return 0 }
  let facts = file.facts
  precondition(facts.width * facts.height * facts.frames <= 40_000_000, "too many pixels")
  let normal: [UInt8]
  switch file {
  case .jpeg(let jpeg):
    normal = jpeg.bytes
    _ = jpeg.profile
  case .png(let png):
    for frame in png.frames {
      precondition(frame.left + frame.width <= png.width && frame.top + frame.height <= png.height, "a frame beyond the canvas")
      let bytes = png.bytes(of: frame)
      precondition((try? ImageFacts(examining: bytes[...]))?.width == frame.width, "a frame that is no image")
    }
    normal = png.bytes
    _ = png.codePoints
  case .gif(let gif): normal = gif.bytes
  case .webp(let webp): normal = Array(webp.bytes)
  }
  guard let again = try? ImageFacts(examining: normal[...]) else { preconditionFailure("what a decoder gets is no image") }
  precondition(again.format == facts.format && again.width == facts.width && again.height == facts.height, "another size")
  precondition(facts.format == .png || again.frames == facts.frames, "other frames")
  return 0
}
