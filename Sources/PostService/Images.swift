// Posts with an image: what of it is wrong, and how its files and its row come to be both or neither.
//
// First the name of the image is put into pending_media, with the room that its files may take of the user's. Then the files are made.
// Then one statement takes the name out of pending_media and into the post. Whatever happens in between, the files have a row that knows
// of them: the post's, or one that chatty-worker finds after an hour and has them removed by.

import EventLoop
import ImageFiles
import Logging
import Media
import ServiceKit

/// An image as it was sent, and as its structure says it is.
struct UploadedImage {
  let file: FormFile
  let facts: ImageFacts

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
    guard file.content.count <= Self.limit else { throw .tooLarge }
    do throws(ImageError) {
      facts = try ImageFacts(examining: file.content)
      self.file = file
    } catch {
      if error == .unknownFormat, let type = file.contentType, !Self.contentTypes.contains(type) { throw .unsupportedMediaType }
      input.reject(.value("\(error)"), "body", "image", .string(file.filename ?? ""))
      return nil
    }
  }
}

extension PostService {
  /// The upload's own part of POST /posts.
  ///
  /// - Returns: nil if the session does not stand.
  static func createWithImage(
    _ text: NewPost, _ image: UploadedImage, _ context: Context, _ database: Database
  ) async throws(APIError) -> Post? {
    let store = MediaStore(home: context.settings.home)
    let key = ImageKey(random: image.facts.storedFormat)
    // A transaction of its own: it has to be there before the files are, whatever becomes of the post.
    guard
      try await Queries.reserve(
        key.description, bytes: ImageMaker.largestFiles, within: context.settings.mediaQuota, by: context.caller, on: context.database)
    else { throw await context.unauthenticated(or: .tooLarge("Image storage quota exceeded")) }
    let bytes: Int
    do throws(ImageError) {
      bytes = try await ImageMaker(store: store).make(key, from: image.file.content, image.facts)
    } catch {
      try await Queries.release(key.description, on: context.database)
      throw refusal(of: image, because: error, context)
    }
    let post = try await Queries.create(
      text, image: StoredImage(key: key.description, filename: image.file.filename ?? "image.\(image.facts.format.ending)", bytes: bytes),
      by: context.caller, on: database)
    if post == nil {
      // The session has ended meanwhile: certain to be without a post, so the files need not wait for the worker.
      if let problem = store.remove(key) { context.logger.warning("an image stays until the worker removes it: \(problem)") }
    }
    return post
  }

  private static func refusal(of image: UploadedImage, because error: ImageError, _ context: Context) -> APIError {
    if case .unavailable(let reason) = error {
      context.logger.error("an image could not be stored: \(reason)")
      return .unavailable
    }
    return .invalid(.value("\(error)"), "body", "image", .string(image.file.filename ?? ""))
  }
}

/// The files of a post's image.
struct StoredImage {
  let key: String
  let filename: String
  let bytes: Int
}

extension PostService.Queries {
  /// Makes room for an image that is about to be made. False, and nothing has changed, if there is not so much left of the user's,
  /// or if the session does not stand.
  ///
  /// - Parameters:
  ///   - bytes: what its files may take at most.
  ///   - quota: what all of a user's may.
  static func reserve(
    _ key: String, bytes: Int, within quota: Int64, by caller: Caller, on database: Database
  ) async throws(APIError) -> Bool {
    try await database.writeOne(
      """
      WITH caller AS (\(caller.session)),
      room AS (
        UPDATE author_stats a SET media_bytes = a.media_bytes + \(bytes)
        FROM caller WHERE a.user_id = caller.user_id AND a.media_bytes + \(bytes) <= \(quota)
        RETURNING a.user_id
      )
      INSERT INTO pending_media (image_key, user_id, reserved) SELECT \(key), user_id, \(bytes) FROM room
      RETURNING user_id
      """, as: Int64.self) != nil
  }

  /// Gives back the room of an image of which there are no files.
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
        INSERT INTO posts (user_id, title, content, image_filename, image_key, image_bytes)
        SELECT caller.user_id, \(new.title), \(new.content), \(image.filename), taken.image_key, \(image.bytes) FROM caller, taken
        RETURNING *
      )
      SELECT \(Post.columnsWhenAdded) FROM added p JOIN caller u ON u.user_id = p.user_id
      """, as: Post.self)
  }
}
