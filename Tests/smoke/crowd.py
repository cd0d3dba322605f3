#!/usr/bin/env python3
"""Sixteen clients who like, unlike, comment and delete at random, until so many requests are answered.

Every client is one of the users whose tokens are in --tokens, over a kept connection. They meet on the few posts of --posts, so that
many want the same row; the post's authors delete some of the posts in the middle of it. The report is one JSON object: how many got
which status, by what was asked.

Only the standard library is used.
"""

import argparse
import collections
import http.client
import json
import random
import threading
import urllib.parse

ACTIONS = ("like", "like", "like", "unlike", "unlike", "comment", "comment", "uncomment", "delete")


class Crowd:
    def __init__(self, options):
        self.address = urllib.parse.urlsplit(options.url).netloc
        self.tokens = open(options.tokens).read().split()
        self.posts = [int(line) for line in open(options.posts)]
        self.left = options.requests
        # A post may go once in a while, not all of them in the first second.
        self.deletions = len(self.posts) // 2
        self.comments = collections.deque()
        self.lock = threading.Lock()
        self.report = collections.defaultdict(collections.Counter)

    def take(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def choose(self, chance):
        action = chance.choice(ACTIONS)
        post = chance.choice(self.posts)
        with self.lock:
            if action == "delete":
                if chance.random() < 0.1 and self.deletions > 0:
                    self.deletions -= 1
                else:
                    action = "like"
            if action == "uncomment":
                if not self.comments:
                    action = "comment"
                else:
                    post, comment = self.comments.popleft()
        if action == "like":
            return action, post, "POST", f"/posts/{post}/likes", None
        if action == "unlike":
            return action, post, "DELETE", f"/posts/{post}/likes", None
        if action == "comment":
            return action, post, "POST", f"/posts/{post}/comments", json.dumps({"content": "In a crowd"})
        if action == "uncomment":
            return action, post, "DELETE", f"/posts/{post}/comments/{comment}", None
        return action, post, "DELETE", f"/posts/{post}", None

    def client(self, number):
        chance = random.Random(number)
        connection = http.client.HTTPConnection(self.address, timeout=30)
        while self.take():
            action, post, method, path, body = self.choose(chance)
            headers = {"Authorization": "Bearer " + self.tokens[number % len(self.tokens)]}
            if body:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            with self.lock:
                self.report[action][str(answer.status)] += 1
                if action == "comment" and answer.status == 200:
                    self.comments.append((post, json.loads(text)["comment"]["id"]))
        connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--tokens", required=True)
    parser.add_argument("--posts", required=True)
    parser.add_argument("--requests", type=int, required=True)
    crowd = Crowd(parser.parse_args())
    threads = [threading.Thread(target=crowd.client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(crowd.report))


main()
