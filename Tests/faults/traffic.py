#!/usr/bin/env python3
"""Reads and writes against a running stack while something is broken on purpose, and says what came of them.

Readers get random posts and check that each answer is the post they asked for; writers comment on random posts, each with a
text of its own, which is kept in --acknowledged once the stack has said that it is stored. The report is one JSON object:

  reads, writes   how many got which status; "broken" is a connection that ended without an answer
  wrong           answers that must never be given: another post than the one asked for, an error that is not in our JSON,
                  a 503 without Retry-After (the first ten, as texts)
  slowest         seconds that the slowest answer took

Only the standard library is used. A refused connection counts as broken and is tried again shortly after.
"""

import argparse
import collections
import http.client
import json
import os
import random
import threading
import time
import urllib.parse


class Traffic:
    def __init__(self, options):
        self.options = options
        self.posts = [int(line) for line in open(options.posts)]
        self.address = urllib.parse.urlsplit(options.url).netloc
        self.lock = threading.Lock()
        self.reads, self.writes = collections.Counter(), collections.Counter()
        self.wrong, self.acknowledged, self.slowest = [], [], 0.0
        self.deadline = time.monotonic() + options.seconds

    def goes_on(self):
        return time.monotonic() < self.deadline and not os.path.exists(self.options.until)

    def note(self, counter, status, seconds):
        with self.lock:
            counter[str(status)] += 1
            self.slowest = max(self.slowest, seconds)

    def complain(self, text):
        with self.lock:
            self.wrong.append(text)

    def client(self, counter, exchange):
        """Sends one request after the other over a kept connection, a new one where that has ended."""
        connection = None
        number = 0
        while self.goes_on():
            if connection is None:
                connection = http.client.HTTPConnection(self.address, timeout=self.options.timeout)
            number += 1
            method, path, body, judge = exchange(number)
            headers = {"Authorization": "Bearer " + self.options.token}
            if body is not None:
                body = json.dumps(body)
                headers["Content-Type"] = "application/json"
            began = time.monotonic()
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.note(counter, "broken", time.monotonic() - began)
                self.complain(f"{method} {path}: {error!r}") if self.options.strict else None
                connection.close()
                connection = None
                time.sleep(0.05)
                continue
            self.note(counter, answer.status, time.monotonic() - began)
            self.judge(answer, text, f"{method} {path}", judge)
            if self.options.pause:
                time.sleep(self.options.pause)

    def judge(self, answer, text, request, judge):
        try:
            content = json.loads(text)
            if answer.status == 200:
                complaint = judge(content)
            elif not isinstance(content.get("detail"), str):
                complaint = "an error without detail"
            elif answer.status == 503 and not (answer.headers.get("Retry-After") or "").isdigit():
                complaint = "503 without Retry-After"
            else:
                complaint = None
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            complaint = repr(error)
        if complaint:
            self.complain(f"{request}: {answer.status} {text[:200]!r}: {complaint}")

    def read(self, _):
        post = random.choice(self.posts)

        def judge(content):
            if content["id"] != post or content["title"] != f"Post {post}":
                return "not the post that was asked for"

        return "GET", f"/posts/{post}", None, judge

    def writer(self, name):
        def write(number):
            post, text = random.choice(self.posts), f"{self.options.mark} {name} {number}"

            def judge(content):
                comment = content["comment"]
                if comment["post_id"] != post or comment["content"] != text:
                    return "not the comment that was sent"
                with self.lock:
                    self.acknowledged.append((comment["id"], text))

            return "POST", f"/posts/{post}/comments", {"content": text}, judge

        return write

    def run(self):
        threads = [threading.Thread(target=self.client, args=(self.reads, self.read)) for _ in range(self.options.readers)]
        threads += [
            threading.Thread(target=self.client, args=(self.writes, self.writer(name))) for name in range(self.options.writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with open(self.options.acknowledged, "w") as file:
            file.writelines(f"{id}\t{text}\n" for id, text in self.acknowledged)
        print(
            json.dumps({"reads": self.reads, "writes": self.writes, "wrong": self.wrong[:10], "slowest": round(self.slowest, 3)})
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--token", required=True, help="of the user who writes")
    parser.add_argument("--posts", required=True, help="a file with the ids of posts, each entitled 'Post ID'")
    parser.add_argument("--acknowledged", required=True, help="where to write the ids and texts of the comments that were stored")
    parser.add_argument("--mark", required=True, help="what the text of every comment begins with")
    parser.add_argument("--until", required=True, help="stop when this file appears")
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--pause", type=float, default=0, help="seconds between two requests of one client")
    parser.add_argument("--seconds", type=float, default=120, help="stop after these at the latest")
    parser.add_argument("--timeout", type=float, default=30, help="seconds to wait for an answer")
    parser.add_argument("--strict", action="store_true", help="a connection that ends without an answer is wrong")
    Traffic(parser.parse_args()).run()


if __name__ == "__main__":
    main()
