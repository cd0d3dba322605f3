// Posts with an image: what of it is wrong, and how its files and its row come to be both or neither.
//
// First the name of the image is put into pending_media. Then the files are made, and take the room that they need of the user's. Then one
// statement takes the name out of pending_media and into the post. Whatever happens in between, the files have a row that knows of them:
// the post's, or one that chatty-worker finds after an hour and has them removed by.

import EventLoop
import ImageFiles
import Logging
import Media
import ServiceKit

/// An image as it was sent, and as its structure says it is.
struct UploadedImage {
  let file: FormFile
  let facts: ImageFacts
  /// What it shows, in words; nil if the sender gave none.
  let alt: String?

  /// The longest file, in bytes.
  private static let limit = 10 << 20
  /// What senders call the images that are taken, or a file of which they know nothing.
  private static let contentTypes: Set = [
    "image/jpeg", "image/jpg", "image/pjpeg", "image/png", "image/x-png", "image/gif", "image/webp", "application/octet-stream",
  ]

  /// nil if there is none. One that is broken is noted in `input`, for its `validate`.
  ///
  /// - Throws: 413 for one that is too long; 415 for one that is not even said to be an image that we take.
  @Worker
  init?(_ input: Input) throws(APIError) {
    guard let file = input.file("image") else { return nil }
    let alt = input.optionalText("image_alt", PostService.imageAltLength)
    guard file.content.count <= Self.limit else { throw .tooLarge }
    do throws(ImageError) {
      facts = try ImageFacts(examining: file.content)
      self.file = file
      self.alt = alt.flatMap { $0.isEmpty ? nil : $0 }
    } catch {
      if error == .unknownFormat, let type = file.contentType, !Self.contentTypes.contains(type) { throw .unsupportedMediaType }
      input.reject(.value("\(error)"), "body", "image", .string(file.filename ?? ""))
      return nil
    }
  }
}

extension PostService {
  /// The pool whose workers may start a decoder.
  private static let uploadPool = "uploads"

  /// The fields of POST /posts, of a form too if this worker is one of those for images. nginx sends forms nowhere else; if ever it took
  /// one for something else, decoders would run among the requests that are to be quick.
  ///
  /// Elsewhere a form is 415.
  static func formInput(_ request: Request, _ context: Context) -> Input {
    context.settings.pool == uploadPool ? request.formInput : request.input
  }

  /// The upload's own part of POST /posts.
  ///
  /// - Returns: nil if the session does not stand.
  static func createWithImage(
    _ text: NewPost, _ image: UploadedImage, _ context: Context, _ database: Database
  ) async throws(APIError) -> Post? {
    guard context.hasRoomForFiles else { throw .noRoom }
    let store = MediaStore(home: context.settings.home)
    let key = ImageKey(random: image.facts.storedFormat)
    // A transaction of its own: it has to be there before the files are, whatever becomes of the post.
    let quota = context.settings.mediaQuota
    guard try await Queries.announce(key.description, within: quota, by: context.caller, on: context.database) else {
      throw await context.unauthenticated(or: .quotaExceeded)
    }
    let bytes: Int
    do throws(ImageError) {
      bytes = try await ImageMaker(store: store).make(key, from: image.file.content, image.facts)
    } catch {
      try await Queries.release(key.description, on: context.database)
      throw refusal(of: image, because: error, context)
    }
    guard try await Queries.takeRoom(for: key.description, bytes: bytes, within: quota, on: context.database) else {
      try await discard(key, from: store, context)
      throw await context.unauthenticated(or: .quotaExceeded)
    }
    let stored = StoredImage(
      key: key.description, filename: image.file.filename ?? "image.\(image.facts.format.ending)", alt: image.alt, bytes: bytes)
    let post = try await Queries.create(text, image: stored, by: context.caller, on: database)
    // The session has ended meanwhile.
    if post == nil { try await discard(key, from: store, context) }
    return post
  }

  /// Removes the files of an image that is certain to be no post's, and gives back its room. Where they cannot be removed the database
  /// goes on knowing them, for the worker.
  private static func discard(_ key: ImageKey, from store: MediaStore, _ context: Context) async throws(APIError) {
    if let problem = store.remove(key) {
      context.logger.warning("an image stays until the worker removes it: \(problem)")
    } else {
      try await Queries.release(key.description, on: context.database)
    }
  }

  private static func refusal(of image: UploadedImage, because error: ImageError, _ context: Context) -> APIError {
    if case .unavailable(let reason) = error {
      context.logger.error("an image could not be stored: \(reason)")
      return context.hasRoomForFiles ? .unavailable : .noRoom
    }
    return .invalid(.value("\(error)"), "body", "image", .string(image.file.filename ?? ""))
  }
}

extension APIError {
  /// As to the images of one user.
  fileprivate static let quotaExceeded = tooLarge("Image storage quota exceeded")
}

/// The files of a post's image.
struct StoredImage {
  let key: String
  let filename: String
  let alt: String?
  let bytes: Int
}

extension PostService.Queries {
  /// Notes the name of an image that is about to be made. False, and nothing has changed, if nothing at all is left of the user's room, so
  /// that there is no point in making it, or if the session does not stand.
  ///
  /// - Parameter quota: what all of a user's images may take, in bytes.
  static func announce(_ key: String, within quota: Int64, by caller: Caller, on database: Database) async throws(APIError) -> Bool {
    try await database.writeOne(
      """
      WITH caller AS (\(caller.session))
      INSERT INTO pending_media (image_key, user_id, reserved)
      SELECT \(key), a.user_id, 0 FROM caller JOIN author_stats a ON a.user_id = caller.user_id WHERE a.media_bytes < \(quota)
      RETURNING user_id
      """, as: Int64.self) != nil
  }

  /// Takes room for the files of an image, now that it is known how long they are. False, and nothing has changed, if there is not so much
  /// left of the user's, however many of their images are being made at the same time.
  static func takeRoom(for key: String, bytes: Int, within quota: Int64, on database: Database) async throws(APIError) -> Bool {
    try await database.writeOne(
      """
      WITH room AS (
        UPDATE author_stats a SET media_bytes = a.media_bytes + \(bytes)
        FROM pending_media m WHERE m.image_key = \(key) AND a.user_id = m.user_id AND a.media_bytes + \(bytes) <= \(quota)
        RETURNING a.user_id
      )
      UPDATE pending_media m SET reserved = \(bytes) FROM room WHERE m.image_key = \(key)
      RETURNING m.user_id
      """, as: Int64.self) != nil
  }

  /// Forgets the name of an image of which there are no files, and gives back its room.
  static func release(_ key: String, on database: Database) async throws(APIError) {
    try await database.write("DELETE FROM pending_media WHERE image_key = \(key) RETURNING user_id", as: Int64.self)
  }

  /// As `create`, with an image whose files are there and whose name is in pending_media.
  static func create(
    _ new: NewPost, image: StoredImage, by caller: Caller, on database: Database
  ) async throws(APIError) -> Post? {
    try await database.writeOne(
      """
      WITH caller AS (\(caller.lockedSession)),
      taken AS (
        DELETE FROM pending_media m USING caller WHERE m.image_key = \(image.key) AND m.user_id = caller.user_id
        RETURNING m.image_key
      ),
      added AS (
        INSERT INTO posts (user_id, title, content, image_filename, image_key, image_alt, image_bytes)
        SELECT caller.user_id, \(new.title), \(new.content), \(image.filename), taken.image_key, \(image.alt), \(image.bytes)
        FROM caller, taken
        RETURNING *
      )
      SELECT \(Post.columnsWhenAdded) FROM added p JOIN caller u ON u.user_id = p.user_id
      """, as: Post.self)
  }
}
