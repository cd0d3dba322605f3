// Images are nginx's to send; who may see them is asked here (nginx/media.conf).

import EventLoop
import Media
import ServiceKit

extension PostService {
  /// GET /-/media/{image_key}, which nginx asks before it sends an image or its thumbnail.
  ///
  /// - Returns: 204 if everybody may see it, 403 if not: of these nginx's `auth_request` takes one for yes and one for no.
  static func permitImage(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    guard let key = ImageKey(request.path["image_key"]), try await Queries.isVisible(key, on: context.database) else {
      return .status(403)
    }
    return .status(204)
  }
}

extension PostService.Queries {
  /// Whether an image is that of a post that everybody may see.
  fileprivate static func isVisible(_ key: ImageKey, on database: Database) async throws(APIError) -> Bool {
    try await database.readOne("SELECT p.id FROM \(Post.visible) WHERE p.image_key = \(key.description)", as: Int64.self) != nil
  }
}
