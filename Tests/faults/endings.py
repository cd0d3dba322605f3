#!/usr/bin/env python3
"""Requests with a secret in their address that end in every way that a request can end.

  endings.py whole SECRET      those that are answered, or refused for what they are
  endings.py cut SECRET        those that stop in the middle, in their several places, and wait until they are given up
  endings.py after SECRET      those that go to a pool and are left (the pool is away, late, or the client has gone)

Every request carries SECRET and a number. CHATTY_TEST_URL names the stack. Prints the answers' statuses, `-` where there is none.
"""

import concurrent.futures
import os
import socket
import sys
import urllib.parse

ADDRESS = urllib.parse.urlsplit(os.environ["CHATTY_TEST_URL"])
HOST = b"Host: localhost\r\n"


def send(data, *, shut=False, leave=False):
    """The status of the answer to these bytes."""
    with socket.create_connection((ADDRESS.hostname, ADDRESS.port), timeout=30) as connection:
        try:
            connection.sendall(data)
            if leave:
                return "left"
            if shut:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while b"\r\n\r\n" not in answer:
                more = connection.recv(65536)
                if not more:
                    break
                answer += more
        except (ConnectionError, BrokenPipeError):
            return "-"
    parts = answer.split(b" ", 2)
    return parts[1].decode() if answer.startswith(b"HTTP/") else "-"


class Secrets:
    def __init__(self, secret):
        self.secret, self.count = secret, 0

    def __call__(self):
        self.count += 1
        return f"{self.secret}{self.count:04d}".encode()


def whole(new):
    def get(path, version=b"HTTP/1.1", headers=HOST, method=b"GET", body=b""):
        return method + b" " + path + b" " + version + b"\r\n" + headers + b"Connection: close\r\n\r\n" + body

    links = [
        b"/auth/verify/1?token=%s", b"/auth/verify?token=%s", b"/auth/verify/?token=%s", b"//auth//verify//1?token=%s", b"/auth/./verify/1?token=%s",
        b"/posts/../auth/verify/1?token=%s", b"/%%61uth/verify/1?token=%s", b"/auth/verify/1/?token=%s", b"/AUTH/VERIFY/1?token=%s",
        b"http://localhost/auth/verify/1?token=%s", b"/auth/verify/1?token=%s#x", b"/auth/verify/1?TOKEN=%s", b"/auth/verify/1?%s", b"/auth/password/reset?token=%s",
        # As programs spoil links.
        b"/auth/verify/1%%3Ftoken=%s", b"/auth/verify/1%%3ftoken%%3D%s", b"/auth/verify/1=3Ftoken=3D%s", b"/auth/verify/1%%253Ftoken=%s", b"/auth/verify/1/%s",
        b"/auth/verify/%s", b"/auth/verify/1&token=%s", b"/auth/verify/1;token=%s", b"/verify/1?token=%s", b"/verify/1%%3Ftoken=%s", b"/reset-password?token=%s",
        b"/reset-password%%23%s", b"/reset-password#%s", b"/reset-password/%s", b"/x/reset-password%%23%s", b"/Auth/Verify/1/%s", b"/nowhere?token=%s",
        b"/media/x?token=%s", b"/-/error?token=%s",
    ]
    for link in links:
        yield get(link % new())
        yield get(link % new(), b"HTTP/1.0", b"")
    link = links[0]
    for method in (b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PROPFIND", b"get", b"G@T"):
        yield get(link % new(), method=method)
    for version in (b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1.9", b"HTTP/1.x", b"HTTQ/1.1", b"http/1.1", b"HTTP/1.1 junk", b"HTTP/"):
        yield get(link % new(), version)
    for headers in (
        b"", HOST + HOST, HOST + b"X\x00: y\r\n", HOST + b"no colon\r\n", HOST + b" : x\r\n", b"Host: \r\n", b"Host: a b/c\r\n", HOST + b"Content-Length: x\r\n",
        HOST + b"Content-Length: -1\r\n", HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n", HOST + b"Content-Length: 99999999999\r\n",
        HOST + b"Transfer-Encoding: gzip\r\n", HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", HOST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n",
        HOST + b"Range: bytes=9-1\r\n", HOST + b"If-Match: x\r\n", HOST + b"Upgrade: h2c\r\n", HOST + b"X: " + b"x" * 9000 + b"\r\n", HOST + b"X: " + b"x" * 40000 + b"\r\n",
        HOST + b"".join(b"X%d: %s\r\n" % (n, b"x" * 4000) for n in range(20)), b"\x16\x03\x01" + HOST,
    ):
        yield get(link % new(), headers=headers)
        yield get(link % new(), headers=headers, method=b"POST")
    for padding in (b"x" * 7000, b"x" * 9000, b"x" * 40000, b"%zz", b"%", b"\x00", b"\x01", b" x", b"\xff", b"%00"):
        yield get(link % new() + padding)
        yield get(b"/auth/verify/1" + padding + b"?token=" + new())
        yield get(b"/auth/verify/" + padding + b"%3Ftoken=" + new())
    # Where the secret is not where it should be.
    yield get(b"/posts", headers=HOST + b"Referer: http://localhost" + link % new() + b"\r\n")
    yield get(b"/auth/verify/1", headers=HOST + b"Referer: http://localhost" + link % new() + b"\r\nX: " + b"x" * 40000 + b"\r\n")
    yield get(b"/media/x", headers=HOST + b"Cookie: token=" + new() + b"\r\n")
    yield link % new() + b"\r\n\r\n"
    yield b"GET" + link % new() + b"\r\n\r\n"
    yield b"GET " + link % new() + b"\r\n"
    yield b"\r\n\r\nGET " + link % new() + b" HTTP/1.1\r\n\r\n"
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + link % new()
    # Behind another on the same connection.
    yield b"GET /posts HTTP/1.1\r\n" + HOST + b"\r\n" + get(link % new(), headers=b"X: " + b"x" * 40000 + b"\r\n")
    # Bodies that are too large, or no chunks.
    yield get(link % new(), headers=HOST + b"Content-Length: 3000000\r\n", method=b"POST", body=b"x" * 3000000)
    yield get(link % new(), headers=HOST + b"Transfer-Encoding: chunked\r\n", method=b"POST", body=b"zz\r\n")
    yield get(link % new(), headers=HOST + b"Transfer-Encoding: chunked\r\n", method=b"POST", body=b"fffffffffffffffff\r\n")
    yield get(link % new(), headers=HOST + b"Transfer-Encoding: chunked\r\n", method=b"POST", body=b"100000\r\n" + b"x" * 0x100000 + b"\r\n1\r\nx\r\n0\r\n\r\n")


def cut(new):
    line = b"GET /auth/verify/1?token=%s"
    for end in (b"", b" ", b" HTTP/1.1", b" HTTP/1.1\r", b" HTTP/1.1\r\n", b" HTTP/1.1\r\nHost: local", b" HTTP/1.1\r\nHost: localhost\r\n", b" HTTP/1.1\r\nX: " + b"x" * 5000,
                b" HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20000):
        yield line % new() + end
    post = line.replace(b"GET", b"POST") + b" HTTP/1.1\r\nHost: localhost\r\n"
    yield post % new() + b"Content-Length: 100\r\n\r\nten of it."
    yield post % new() + b"Content-Length: 200000\r\n\r\n" + b"x" * 100000
    yield post % new() + b"Transfer-Encoding: chunked\r\n\r\na\r\nten of it."
    yield post % new() + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"


def after(new):
    for method, body in ((b"GET", b""), (b"POST", b"{}"), (b"HEAD", b"")):
        for path in (b"/auth/verify/1?token=%s", b"/auth/verify?token=%s", b"/auth/password/reset?token=%s"):
            yield method + b" " + path % new() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def main():
    what, new = sys.argv[1], Secrets(sys.argv[2])
    requests = list({"whole": whole, "cut": cut, "after": after}[what](new))
    jobs = [(data, {}) for data in requests]
    if what == "cut":
        # And those that end there.
        jobs += [(data, {"shut": True}) for data in cut(new)] + [(data, {"leave": True}) for data in cut(new)]
    if what == "after":
        jobs += [(data, {"leave": True}) for data in after(new)]
    with concurrent.futures.ThreadPoolExecutor(48) as pool:
        print(*pool.map(lambda job: send(job[0], **job[1]), jobs))


main()
