#!/usr/bin/env python3
"""Thousands of small random networks in one database, and what each of their users should be recommended: by dense matrices.

  networks.py make COUNT SEED FILE         puts them into the database, and what is in them into FILE
  networks.py check FILE DAMPING SHARE     asks one user of every SHARE-th network and compares ids, order, scores and reasons

The networks share nothing but the list of what is popular. In them are users who like nothing or all, who like the same, who are
blocked or not verified; posts that nobody likes, of blocked authors, one's own, and deleted ones; likes older than a week.
"""

import decimal
import json
import os
import sys
import time

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../load"))
from stack import Stack  # noqa: E402

NEIGHBOURS = 3


def make(count, seed, path):
    random = numpy.random.default_rng(seed)
    stack = Stack()
    networks, users, posts, likes, deleted = [], [], [], [], []
    first_user, first_post = 1_000_000, 2_000_000
    for _ in range(count):
        user_count, post_count = int(random.integers(1, 10)), int(random.integers(1, 12))
        ids = first_user + random.permutation(2 * user_count)[:user_count]
        post_ids = first_post + numpy.sort(random.permutation(2 * post_count)[:post_count])
        first_user, first_post = first_user + 2 * user_count, first_post + 2 * post_count
        active = random.random(user_count) > 0.15
        blocked = ~active & (random.random(user_count) < 0.5)
        matrix = random.random((user_count, post_count)) < random.random((user_count, 1))
        for user in range(1, user_count):
            if random.random() < 0.25:
                matrix[user] = matrix[random.integers(user)]
        if random.random() < 0.2:
            matrix[random.integers(user_count)] = random.random() < 0.5
        recent = random.random(matrix.shape) < 0.5
        authors = random.integers(user_count, size=post_count)
        gone = random.random(post_count) < 0.08
        for user in range(user_count):
            verified = "\\N" if not active[user] and not blocked[user] else "2024-01-01"
            users.append(f"{ids[user]}\tu{ids[user]}\t{ids[user]}@example.org\tx\t{verified}\t{'2024-01-02' if blocked[user] else chr(92) + 'N'}\n")
        for post in range(post_count):
            posts.append(f"{post_ids[post]}\t{ids[authors[post]]}\tx\tx\n")
        for user, post in numpy.argwhere(matrix):
            likes.append(f"{ids[user]}\t{post_ids[post]}\t{'-infinity' if not recent[user, post] else 'now'}\n")
        deleted += [str(post) for post in post_ids[gone]]
        kept = ~gone
        networks.append(
            {
                "users": ids.tolist(), "active": active.tolist(), "blocked": blocked.tolist(), "posts": post_ids[kept].tolist(),
                "authors": authors[kept].tolist(), "likes": matrix[:, kept].astype(int).tolist(), "recent": recent[:, kept].astype(int).tolist(),
            }
        )
    stack.copy("users (id, username, email, hashed_password, verified_at, blocked_at)", ["".join(users).encode()])
    stack.copy("posts (id, user_id, title, content)", ["".join(posts).encode()])
    stack.copy("likes (user_id, post_id, created_at)", ["".join(likes).encode()])
    stack.sql("UPDATE post_stats s SET likes = (SELECT count(*) FROM likes l WHERE l.post_id = s.post_id)")
    stack.sql(f"DELETE FROM posts WHERE id IN ({','.join(deleted) or 0})")
    stack.sql("ANALYZE")
    with open(path, "w", encoding="ascii") as file:
        json.dump(networks, file)


def by_neighbours(network, user, damping):
    """The posts that neighbours bring, with their scores, the best first."""
    matrix = numpy.array(network["likes"], dtype=numpy.int64).reshape(len(network["users"]), len(network["posts"]))
    ids, active = numpy.array(network["users"]), numpy.array(network["active"])
    common, total = matrix @ matrix[user], matrix.sum(axis=1)
    weight = numpy.divide(common, common + damping, out=numpy.zeros(len(ids)), where=common > 0)
    similarity = numpy.zeros(len(ids))
    some = common > 0
    similarity[some] = common[some] / numpy.sqrt(total[user] * total[some].astype(float)) * weight[some]
    found = [other for other in range(len(ids)) if other != user and active[other] and common[other] > 0]
    # Equal quotients are found by fractions of whole numbers: n²/|B|, damped or not.
    def key(other):
        n, b = int(common[other]), int(total[other])
        return (decimal.Decimal(n * n * n * n) / (b * (n + damping) ** 2), n, -int(ids[other]))

    found.sort(key=key, reverse=True)
    scores = {}
    for other in found[:NEIGHBOURS]:
        # As exact as in the definition: 40 binary digits.
        value = round(float(similarity[other]) * 2**40) / 2**40
        for post in numpy.flatnonzero(matrix[other] & ~matrix[user] & 1):
            author = network["authors"][post]
            if author != user and not network["blocked"][author]:
                scores[network["posts"][post]] = scores.get(network["posts"][post], 0) + value
    return sorted(scores.items(), key=lambda item: (item[1], item[0]), reverse=True)


def popular_posts(networks):
    """Every post that is not hidden and that somebody likes, with its author, the most popular first."""
    found = []
    for network in networks:
        matrix = numpy.array(network["likes"]).reshape(len(network["users"]), len(network["posts"]))
        recent = numpy.array(network["recent"]).reshape(matrix.shape) * matrix
        for post, (week, ever) in enumerate(zip(recent.sum(axis=0).tolist(), matrix.sum(axis=0).tolist())):
            author = network["authors"][post]
            if ever and not network["blocked"][author]:
                found.append(((week, 0 if week else ever, network["posts"][post]), network["users"][author]))
    found.sort(reverse=True)
    return [(place[2], author) for place, author in found]


def expected(network, user, damping, popular, limit):
    ranking = [(post, score, "similar_users") for post, score in by_neighbours(network, user, damping)][:limit]
    left_out = {post for post, _, _ in ranking}
    left_out.update(post for post, likes in zip(network["posts"], network["likes"][user]) if likes)
    for post, author in popular:
        if len(ranking) == limit:
            break
        if post not in left_out and author != network["users"][user]:
            ranking.append((post, 0, "popular"))
    return ranking


def check(path, damping, share):
    with open(path, encoding="ascii") as file:
        networks = json.load(file)
    stack, popular = Stack(), popular_posts(networks)
    random = numpy.random.default_rng(int(time.time()) // 86_400)
    asked = []
    for network in networks[::share]:
        users = [user for user, is_active in enumerate(network["active"]) if is_active]
        if users:
            asked.append((network, int(random.choice(users)), int(random.choice([1, 2, 5, 50]))))
    tokens = stack.sign_in([network["users"][user] for network, user, _ in asked])
    answers = stack.get_all(
        [(f"/recommendations?limit={limit}", tokens[network["users"][user]]) for network, user, limit in asked])
    near = 0
    for (network, user, limit), (status, body) in zip(asked, answers):
        want = expected(network, user, damping, popular, limit)
        got = [(post["id"], post["score"], post["reason"]) for post in body.get("posts", [])]
        same = status == 200 and [(post, reason) for post, _, reason in want] == [(post, reason) for post, _, reason in got]
        if not same or any(a[1] != b[1] for a, b in zip(want, got)):
            raise SystemExit(f"user {network['users'][user]}, limit {limit}: {status}\nwant {want}\ngot  {got}\nof   {network}")
        near += any(reason == "similar_users" for _, _, reason in got)
    print(f"{len(asked)} answers as by dense matrices, {near} of them with neighbours")


if sys.argv[1] == "make":
    make(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
else:
    check(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
