#!/usr/bin/env python3
"""Likes by the million, and how long recommendations take over HTTP, one at a time.

  recommendations.py load USERS POSTS LIKES    puts so many likes into the stack's database, in place of those that are there
  recommendations.py build COMMAND…            runs a build of the index: "seconds, megabytes at the peak, likes, bytes"
  recommendations.py ask WHOM COUNT SECONDS    asks for so many callers, `random` ones or the `heaviest`, and stops after so many seconds:
                                               "p50, p99, longest in ms, answers, failures"
  recommendations.py dense WHOM COUNT SECONDS  the same by a dense matrix of users and posts, read from the database for each answer

The shape of the likes is Zipf-like in both directions, as in collections of ratings: of 138,000 users and 27,000 posts with 20 million
likes the first post has some 65,000 and the user who likes most some 6,000. Who likes what is otherwise random, which is the hard case:
nobody is very similar to anybody. Likes come in the order of their time, over two years.
"""

import os
import subprocess
import sys
import time

import numpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stack import Stack  # noqa: E402

# Ids of users and posts that nobody else's rows have.
FIRST = 1_000_000_000
TWO_YEARS = 2 * 365 * 86_400 * 1_000_000
CHUNK = 2_000_000


def draw(users, posts, likes):
    """Pairs user * posts + post, each once."""
    random = numpy.random.default_rng(7)
    weight = (numpy.arange(users) + users / 690) ** -0.75
    size = numpy.minimum(numpy.maximum(1, numpy.rint(weight / weight.sum() * likes)), posts * 2 // 3).astype(numpy.int64)
    popularity = 1 / (numpy.arange(posts) + posts / 540)
    bounds = numpy.cumsum(popularity / popularity.sum())
    pieces, first = [], 0
    while first < users:
        last = max(first + 1, int(numpy.searchsorted(numpy.cumsum(size[first:]), CHUNK)) + first)
        wanted = size[first:last]
        pairs = numpy.empty(0, dtype=numpy.int64)
        # What is drawn twice is drawn again, some times.
        for _ in range(12):
            missing = wanted - numpy.bincount(pairs // posts, minlength=last - first)
            if not missing.any():
                break
            who = numpy.repeat(numpy.arange(last - first), missing)
            what = numpy.minimum(numpy.searchsorted(bounds, random.random(len(who))), posts - 1)
            pairs = numpy.unique(numpy.concatenate([pairs, who * posts + what]))
        pieces.append(pairs + first * posts)
        first = last
    return random.permutation(numpy.concatenate(pieces))


def rows(pairs, posts):
    """The bytes of a COPY in binary format: user, post, time."""
    yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
    layout = numpy.dtype(
        [("fields", ">i2"), ("a", ">i4"), ("user", ">i8"), ("b", ">i4"), ("post", ">i8"), ("c", ">i4"), ("time", ">i8")])
    now = int((time.time() - 946_684_800) * 1_000_000)
    for start in range(0, len(pairs), CHUNK):
        part = pairs[start : start + CHUNK]
        block = numpy.empty(len(part), dtype=layout)
        block["fields"] = 3
        block["a"] = block["b"] = block["c"] = 8
        block["user"], block["post"] = FIRST + part // posts, FIRST + part % posts
        block["time"] = now - TWO_YEARS + ((numpy.arange(len(part)) + start) * (TWO_YEARS / len(pairs))).astype(numpy.int64)
        yield block.tobytes()
    yield b"\xff\xff"


def load(users, posts, likes):
    stack = Stack()
    stack.sql(
        f"INSERT INTO users (id, username, email, hashed_password, verified_at) OVERRIDING SYSTEM VALUE "
        f"SELECT {FIRST} + n, 'load-' || n, 'load-' || n || '@example.org', 'x', now() FROM generate_series(0, {users} - 1) n "
        f"WHERE NOT EXISTS (SELECT FROM users WHERE id = {FIRST} + n)")
    stack.sql(
        f"INSERT INTO posts (id, user_id, title, content) OVERRIDING SYSTEM VALUE "
        f"SELECT {FIRST} + n, {FIRST} + n * 7919 % {users}, 'A post of the usual length, number ' || n, repeat('Some words of a usual post. ', 15) "
        f"FROM generate_series(0, {posts} - 1) n WHERE NOT EXISTS (SELECT FROM posts WHERE id = {FIRST} + n)")
    indexes = [row[0] for row in stack.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'likes' AND indexname <> 'likes_pkey'")]
    names = [row[0] for row in stack.sql("SELECT indexname FROM pg_indexes WHERE tablename = 'likes' AND indexname <> 'likes_pkey'")]
    key = stack.sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'likes_pkey'")[0][0]
    stack.sql(f"TRUNCATE likes; ALTER TABLE likes DROP CONSTRAINT likes_pkey; DROP INDEX {', '.join(names)}")
    # Without the triggers of foreign keys: there is a user and a post for each.
    stack.copy("likes (user_id, post_id, created_at)", rows(draw(users, posts, likes), posts), options="(FORMAT binary)",
               before="SET session_replication_role = replica")
    stack.sql(f"SET maintenance_work_mem = '1GB'; ALTER TABLE likes ADD CONSTRAINT likes_pkey {key}; {'; '.join(indexes)}")
    stack.sql("UPDATE post_stats s SET likes = n.likes FROM (SELECT p.id, count(l.post_id) AS likes FROM posts p LEFT JOIN likes l ON l.post_id = p.id "
              "GROUP BY p.id) n WHERE n.id = s.post_id AND n.likes <> s.likes")
    stack.sql("VACUUM ANALYZE")
    stack.sql("CHECKPOINT")
    print(stack.sql("SELECT count(*) FROM likes")[0][0])


def build(command):
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                    peak = max([peak] + [int(line.split()[1]) for line in file if line.startswith("VmHWM")])
            except OSError:
                pass
            time.sleep(0.005)
        seconds, words = time.perf_counter() - started, process.stdout.read().split()
    if process.returncode:
        raise SystemExit("the index was not built")
    print(f"{seconds:.3f} {peak / 1024:.0f} {words[1]} {words[-2]}")


def callers(stack, whom, count):
    order = "md5(user_id::text)" if whom == "random" else "count(*) DESC"
    found = stack.sql(f"SELECT user_id FROM likes WHERE user_id >= {FIRST} GROUP BY user_id ORDER BY {order} LIMIT {count}")
    return [int(row[0]) for row in found]


def report(times, failures):
    if not times:
        print("- - -", 0, failures)
        return
    times = sorted(times)
    at = [times[len(times) // 2], times[len(times) * 99 // 100], times[-1]]
    print(*[f"{value * 1000:.2f}" for value in at], len(times), failures)


def ask(whom, count, seconds):
    stack = Stack()
    users = callers(stack, whom, count)
    tokens = stack.sign_in(users)
    connection = stack.connection()
    # The first requests go over to a new index, and prepare statements: on every worker of the pool.
    until = time.monotonic() + min(3, seconds / 10)
    while time.monotonic() < until:
        user = users[int(time.monotonic() * 1e6) % min(20, len(users))]
        stack.get(connection, "/recommendations", tokens[user])
        stack.get(stack.connection(), "/recommendations", tokens[user])
    times, failures, until = [], 0, time.monotonic() + seconds
    for user in users:
        if time.monotonic() > until:
            break
        status, _, took = stack.get(connection, "/recommendations", tokens[user])
        if status == 200:
            times.append(took)
        else:
            failures += 1
    report(times, failures)


def dense(whom, count, seconds):
    stack = Stack()
    times, until = [], time.monotonic() + seconds
    for user in callers(stack, whom, count):
        if time.monotonic() > until:
            break
        started = time.perf_counter()
        pairs = numpy.array(stack.sql("SELECT user_id, post_id FROM likes"), dtype=numpy.int64)
        users, rows_of = numpy.unique(pairs[:, 0], return_inverse=True)
        posts, columns_of = numpy.unique(pairs[:, 1], return_inverse=True)
        matrix = numpy.zeros((len(users), len(posts)), dtype=numpy.float32)
        matrix[rows_of, columns_of] = 1
        # As it is usually done: every user beside every other.
        length = numpy.linalg.norm(matrix, axis=1)
        similarity = matrix @ matrix.T / numpy.outer(length, length)
        own = int(numpy.searchsorted(users, user))
        similarity[own, own] = 0
        neighbours = numpy.argsort(-similarity[own])[:3]
        scores = similarity[own][neighbours] @ matrix[neighbours] * (1 - matrix[own])
        posts[numpy.argsort(-scores)[:5]].tolist()
        times.append(time.perf_counter() - started)
    report(times, 0)


if __name__ == "__main__":
    if sys.argv[1] == "load":
        load(*map(int, sys.argv[2:]))
    elif sys.argv[1] == "build":
        build(sys.argv[2:])
    else:
        {"ask": ask, "dense": dense}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
