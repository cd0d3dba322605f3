// The kinds of images that are taken, and what their bytes say of them before anything is decoded. Pure: no codec, no I/O.

/// A kind of image.
public enum ImageFormat: String, CaseIterable, Sendable {
  case jpeg = "jpg"
  case png
  case gif
  case webp

  /// The ending of its files' names.
  public var ending: String { rawValue }

  /// By the first bytes; nil for any other kind.
  init?(startOf bytes: ArraySlice<UInt8>) {
    if bytes.starts(with: [0xff, 0xd8, 0xff]) {
      self = .jpeg
    } else if bytes.starts(with: PNGFile.signature) {
      self = .png
    } else if bytes.starts(with: "GIF87a".utf8) || bytes.starts(with: "GIF89a".utf8) {
      self = .gif
    } else if bytes.starts(with: "RIFF".utf8), bytes.dropFirst(8).starts(with: "WEBP".utf8) {
      self = .webp
    } else {
      return nil
    }
  }
}

/// Why an image is not taken.
public enum ImageError: Error, Equatable, CustomStringConvertible {
  /// It is none of the kinds that are taken.
  case unknownFormat
  /// Its structure breaks off or is not that of its kind.
  case broken
  case tooManyPixels
  /// Each frame is small enough, and all of them together are not.
  case tooManyPixelsInAllFrames
  /// Its structure is right and its content cannot be decoded within the limits.
  case undecodable
  /// The fault is not the image's: there is no decoder, or no room on the disk.
  case unavailable(String)

  public var description: String {
    switch self {
    case .unknownFormat: "the file is not a JPEG, PNG, GIF or WebP image"
    case .broken: "the image is broken or incomplete"
    case .tooManyPixels: "the image has more than 40 megapixels"
    case .tooManyPixelsInAllFrames: "the frames of the animation have more than 40 megapixels in all"
    case .undecodable: "the image cannot be decoded"
    case .unavailable(let reason): reason
    }
  }
}

/// An image's file, taken apart: enough to refuse one that is no image, or too large, before a decoder sees it; and for the decoder what
/// it needs to show the image as a browser would.
///
/// The walk through a file ends where its image ends. Cameras, editors and phones put a lot behind it, which browsers do not look at.
public enum ImageFile: Sendable {
  case jpeg(JPEGFile)
  case png(PNGFile)
  case gif(GIFFile)
  case webp(WebPFile)

  /// - Throws: `.unknownFormat`, `.broken` or one of the errors for too many pixels.
  public init(_ bytes: ArraySlice<UInt8>) throws(ImageError) {
    guard let format = ImageFormat(startOf: bytes) else { throw .unknownFormat }
    var walk = ByteWalk(bytes)
    switch format {
    case .jpeg: self = .jpeg(try JPEGFile(&walk))
    case .png: self = .png(try PNGFile(&walk))
    case .gif: self = .gif(try GIFFile(&walk))
    case .webp: self = .webp(try WebPFile(&walk))
    }
    try facts.check()
    // A decoder decodes also what is beyond the screen.
    if case .gif(let file) = self, file.pixels > ImageFacts.pixelLimit { throw .tooManyPixelsInAllFrames }
  }

  public var facts: ImageFacts {
    switch self {
    case .jpeg(let file): ImageFacts(format: .jpeg, width: file.width, height: file.height, frames: 1)
    case .png(let file): ImageFacts(format: .png, width: file.width, height: file.height, frames: max(file.frames.count, 1))
    case .gif(let file): ImageFacts(format: .gif, width: file.width, height: file.height, frames: file.frames)
    case .webp(let file): ImageFacts(format: .webp, width: file.width, height: file.height, frames: max(file.frames, 1))
    }
  }
}

/// The size of an image as its structure tells it.
public struct ImageFacts: Equatable, Sendable {
  public let format: ImageFormat
  /// In pixels, before the image is turned upright.
  public let width: Int
  public let height: Int
  /// 1 unless it is animated.
  public let frames: Int

  /// Pixels of an image, of an animation in all its frames, each as large as the canvas: a browser paints them all.
  static let pixelLimit = 40_000_000
  static let sideLimit = 65_535
  /// Pixels as which a frame counts at least: it costs its decoder so much however small it is.
  static let smallestFrame = 4096

  /// - Throws: as of `ImageFile`.
  public init(examining bytes: ArraySlice<UInt8>) throws(ImageError) { self = try ImageFile(bytes).facts }

  init(format: ImageFormat, width: Int, height: Int, frames: Int) {
    self.format = format
    self.width = width
    self.height = height
    self.frames = frames
  }

  /// The kind of file that is made of it. An animated PNG becomes an animated WebP: every browser shows it, and it loses nothing.
  public var storedFormat: ImageFormat { format == .png && frames > 1 ? .webp : format }

  func check() throws(ImageError) {
    guard width > 0, height > 0, frames > 0 else { throw .broken }
    guard width <= Self.sideLimit, height <= Self.sideLimit, width * height <= Self.pixelLimit else { throw .tooManyPixels }
    guard frames == 1 || frames <= Self.pixelLimit / max(width * height, Self.smallestFrame) else { throw .tooManyPixelsInAllFrames }
  }
}
