#!/usr/bin/env python3
"""One client that holds all the connections it can get, and others who come meanwhile.

  connections.py COUNT KIND PORT   opens COUNT connections from 127.0.0.9 and leaves each in the middle: of its first byte, of a header, of a
                                   body. KIND is headers, bodies or both. Then 60 others, from as many addresses, ask for /posts, one after the
                                   other, and the operations listener on PORT is asked three times for /livez and /readyz.

Prints how many connections were open when the others came, how many of the others were answered with 200, the statuses of the operations
listener, and how often each status came to the first client.
"""

import collections
import http.client
import os
import resource
import select
import socket
import sys
import time
import urllib.parse

URL = urllib.parse.urlsplit(os.environ["CHATTY_TEST_URL"])
HALVES = {
    "headers": [b"G", b"GET /posts", b"GET /posts HTTP/1.1\r\nHost: localhost\r\nX: y"],
    "bodies": [b"POST /posts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
               b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n{"],
}
HALVES["both"] = HALVES["headers"] + HALVES["bodies"]


def ask(address, source, path):
    connection = http.client.HTTPConnection(address[0], address[1], timeout=5, source_address=(source, 0))
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def main():
    count, halves, port = int(sys.argv[1]), HALVES[sys.argv[2]], int(sys.argv[3])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    poll, held = select.poll(), {}
    for number in range(count):
        connection = socket.socket()
        connection.bind(("127.0.0.9", 0))
        connection.settimeout(2)
        try:
            connection.connect((URL.hostname, URL.port))
            connection.sendall(halves[number % len(halves)])
        except OSError:
            connection.close()
            continue
        connection.setblocking(False)
        poll.register(connection, select.POLLIN)
        held[connection.fileno()] = connection
    began = time.monotonic()
    said = collections.Counter()
    gone = set()
    # Until a second has brought no further answer.
    while ready := poll.poll(1000):
        for number, _ in ready:
            try:
                said[held[number].recv(100)[9:12].decode() or "closed"] += 1
            except OSError:
                said["closed"] += 1
            poll.unregister(number)
            gone.add(number)
    others = sum(ask((URL.hostname, URL.port), f"127.0.1.{n}", "/posts") == 200 for n in range(1, 61))
    operations = [ask(("127.0.0.1", port), "127.0.0.1", path) for path in ("/livez", "/readyz") * 3]
    print(len(held) - len(gone), "held,", others, "of 60 answered, operations", *operations, *(f"{status}:{n}" for status, n in sorted(said.items())))
    if time.monotonic() - began > 60:
        sys.exit("it took too long: the first client was let go meanwhile")


main()
