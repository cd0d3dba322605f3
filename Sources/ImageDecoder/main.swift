// chatty-image: makes the two files of one image. It is run by the post service for each image (Sources/Media/ImageMaker.swift), with
// nothing but three descriptors, within limits, and does what an image can do to a decoder in the place of the service.
//
//     chatty-image <image 1>served 3>thumbnail
//
// Ends with status 0; 65 (EX_DATAERR) if the image cannot be decoded; 74 (EX_IOERR) if the fault is not the image's. Standard error has
// the reason.

import Glibc
import ImageCodecs
import ImageFiles

/// Ends the program.
func fail(_ error: ImageError) -> Never {
  try? write(Array("\(error)\n".utf8), to: 2)
  if case .unavailable = error { exit(74) }
  exit(65)
}

/// All that a descriptor gives.
func read(_ descriptor: Int32) throws(ImageError) -> [UInt8] {
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { throw .unavailable("the image cannot be read") }
  var bytes: [UInt8] = []
  bytes.reserveCapacity(Int(status.st_size) + 1)
  var piece = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(descriptor, &piece, piece.count)
    guard count >= 0 else { throw .unavailable("the image cannot be read: \(String(cString: strerror(errno)))") }
    if count == 0 { return bytes }
    bytes += piece[..<count]
  }
}

func write(_ bytes: [UInt8], to descriptor: Int32) throws(ImageError) {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    guard count > 0 else { throw .unavailable("an image cannot be written: \(String(cString: strerror(errno)))") }
    rest = rest.dropFirst(count)
  }
}

do throws(ImageError) {
  let made = try MadeImage(of: try read(0))
  try write(made.image, to: 1)
  try write(made.thumbnail, to: 3)
} catch {
  fail(error)
}
