// The command line `chatty`: what an operator does that the API does not offer.

import ArgumentParser

struct Chatty: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chatty",
    abstract: "Looks after a Chatty: its users, keys, outgoing mail and counters.",
    discussion: """
      It reads the same CHATTY_* settings as the services and connects to the database as chatty_operator. \
      ./deploy/chatty runs it with the settings of the running stack.
      """,
    subcommands: [
      UserCommand.self, KeysCommand.self, OutboxCommand.self, MediaCommand.self, RecountCommand.self, RecommendationsCommand.self,
      CheckCommand.self,
    ])
}
