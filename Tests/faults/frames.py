#!/usr/bin/env python3
"""Speaks FastCGI to a pool's socket as nobody should who means well (FastCGI 1.0, section 3.3).

  frames.py hostile SOCKET [SEED]     one malformed request after another, each on a connection of its own, and some hundred at random
  frames.py halves SOCKET COUNT       leaves COUNT requests in the middle, and prints `ready` when all are there; ends with its input
  frames.py form SOCKET TOKEN         a form with a picture, as if nginx had taken it for something else: prints the status
"""

import concurrent.futures
import random
import socket
import struct
import sys


def record(kind, content=b"", ident=1, padding=0, version=1):
    return struct.pack(">BBHHBB", version, kind, ident, len(content), padding, 0) + content + b"\0" * padding


def length(number):
    return bytes([number]) if number < 128 else struct.pack(">I", number | 0x80000000)


def pairs(**parameters):
    return b"".join(length(len(name)) + length(len(value)) + name.encode() + value.encode() for name, value in parameters.items())


BEGIN = record(1, b"\0\1\1\0\0\0\0\0")
END = record(4) + record(5)


def request(body=b"", **parameters):
    parameters = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/posts", **parameters}
    return BEGIN + record(4, pairs(**parameters)) + record(4) + (record(5, body) if body else b"") + record(5)


def numbers(name):
    for value in ("-9223372036854775808", "-9223372036854775809", "9223372036854775807", "9223372036854775808", "-1", "+1", "1e400", "nan", "\0", "", " 1", "0x10",
                  "9" * 400, "\u0661"):
        yield request(**{name: value})
        yield request(b"{}", REQUEST_METHOD="POST", CONTENT_TYPE="application/json", **{name: value})


def hostile():
    yield from numbers("REQUEST_RECEIVED")
    yield from numbers("CONTENT_LENGTH")
    for lengths in (b"\xff\xff\xff\xfe\x80\0\0\1", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\xff\xff\xff\xff\0", b"\0\xff\xff\xff\xff", b"\xfe\x80\0\1\1", b"\x80\4\0\1\0",
                    b"\xbf\xff\xff\xff\xbf\xff\xff\xff", b"\x80\0\0\0\x80\0\0\0", b"\xff", b"\x80\0\0", b"\1", b"\3\3ab"):
        for filling in (b"", b"A=B", b"x" * 1000):
            yield BEGIN + record(4, lengths + filling) + END
            yield BEGIN + record(4, pairs(REQUEST_METHOD="GET") + lengths + filling) + END
    for kind in (0, 2, 3, 6, 7, 8, 9, 10, 11, 12, 255):
        for ident in (0, 1, 2, 65535):
            yield record(kind, b"\0\1\1\0\0\0\0\0", ident)
            yield BEGIN + record(kind, b"", ident) + request()[16:]
            yield BEGIN + record(4, pairs(REQUEST_METHOD="GET")) + record(kind, b"x" * 9, ident) + END
            yield request() + record(kind, b"", ident)
    for role in (0, 2, 3, 255, 65535):
        yield record(1, struct.pack(">HB5x", role, 1)) + request()[16:]
    for ident in (0, 2, 65535):
        yield record(1, b"\0\1\1\0\0\0\0\0", ident) + record(4, b"", ident) + record(5, b"", ident)
        yield BEGIN + record(4, pairs(REQUEST_METHOD="GET"), ident) + END
    for text in ("/" + "%00" * 2000, "/posts?" + "limit=1&" * 5000, "/" * 60000, "*", "", "\0", "http://", "/posts/%", "/posts?cursor=" + "A" * 50000, "/\udcff".encode("utf-8", "surrogateescape").decode("latin-1")):
        yield request(REQUEST_URI=text)
    for name in ("HTTP_AUTHORIZATION", "HTTP_IDEMPOTENCY_KEY", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "REQUEST_ID", "CONTENT_TYPE", "REMOTE_ADDR", "READY_NEXT", "HTTP_USER_AGENT"):
        for value in ("", "\0", "\r\n\r\nX: y", "x" * 60000, "Bearer " + "." * 5000, "Bearer a.b.c", '"' * 3000, "W/" * 3000, "multipart/form-data; boundary=" + "x" * 70):
            yield request(**{name: value})
            yield request(b"--x--", REQUEST_METHOD="POST", **{name: value})
    yield BEGIN + b"".join(record(4, b"\1\0A") for _ in range(20000)) + END
    yield BEGIN + record(4, b"\0\0" * 30000) + END
    yield BEGIN + b"".join(record(4, b"x" * 65535) for _ in range(6)) + END
    yield b"\1" * 100000
    yield b""


def mutations(seed):
    generator = random.Random(seed)
    for _ in range(500):
        data = bytearray(request(b"{}" * generator.randrange(20), REQUEST_METHOD="POST", CONTENT_TYPE="application/json", HTTP_AUTHORIZATION="Bearer x"))
        for _ in range(generator.randrange(1, 6)):
            place = generator.randrange(len(data))
            choice = generator.randrange(4)
            if choice == 0:
                data[place] = generator.randrange(256)
            elif choice == 1:
                data[place] = generator.choice((0, 1, 0x7F, 0x80, 0xFF))
            elif choice == 2:
                del data[place:place + generator.randrange(1, 9)]
            else:
                data[place:place] = bytes(generator.randrange(256) for _ in range(generator.randrange(9)))
            if not data:
                break
        yield bytes(data)


def send(path, data):
    with socket.socket(socket.AF_UNIX) as connection:
        # Without a timeout yet: with one it would fail, and not wait, where the socket's queue is full.
        connection.connect(path)
        connection.settimeout(20)
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while more := connection.recv(65536):
                answer += more
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
    return answer


def main():
    what, path = sys.argv[1:3]
    if what == "hostile":
        # Side by side, since what is left in the middle is waited for.
        with concurrent.futures.ThreadPoolExecutor(256) as pool:
            print(len(list(pool.map(lambda data: send(path, data), [*hostile(), *mutations(int(sys.argv[3]))]))))
    elif what == "halves":
        data = request(b"{}" * 30000, REQUEST_METHOD="POST", CONTENT_TYPE="application/json")
        held = []
        for number in range(int(sys.argv[3])):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            connection.sendall(data[: (1, 20, 60, len(data) - 1)[number % 4]])
            held.append(connection)
        print("ready", flush=True)
        sys.stdin.read()
    else:
        form = b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n--x\r\nContent-Disposition: form-data; name="content"\r\n\r\nc\r\n--x--\r\n'
        answer = send(path, request(form, REQUEST_METHOD="POST", CONTENT_LENGTH=str(len(form)), HTTP_AUTHORIZATION=f"Bearer {sys.argv[3]}",
                                    CONTENT_TYPE="multipart/form-data; boundary=x"))
        print(answer.split(b"Status: ")[1][:3].decode())


main()
