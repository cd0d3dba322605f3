import Foundation
import ServiceKit
import Testing

@Suite("room on a disk")
struct DiskRoomTests {
  @Test("what a file system has for everybody is its room")
  func room() {
    #expect(DiskRoom.hasRoom(in: [NSTemporaryDirectory()], least: 1))
    #expect(!DiskRoom.hasRoom(in: [NSTemporaryDirectory()], least: 1 << 60))
    #expect(!DiskRoom.hasRoom(in: ["/", NSTemporaryDirectory()], least: 1 << 60))
  }

  @Test("a folder that is not there is not full")
  func missing() {
    #expect(DiskRoom.hasRoom(in: ["/nonexistent"], least: 1 << 60))
  }

  @Test("the database is in the stack's folder unless its address says otherwise")
  func cluster() throws {
    #expect(try Settings(["CHATTY_HOME": "/srv/chatty"], name: "test").hasPrivateCluster)
    let own = "postgresql:///chatty?host=/srv/chatty/run"
    #expect(try Settings(["CHATTY_HOME": "/srv/chatty", "CHATTY_DATABASE_URL": own], name: "test").hasPrivateCluster)
    let other = "postgresql://db.example/chatty"
    #expect(try !Settings(["CHATTY_HOME": "/srv/chatty", "CHATTY_DATABASE_URL": other], name: "test").hasPrivateCluster)
  }
}
