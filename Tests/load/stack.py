"""A running stack as programs of the tests see it: its database as a superuser, and its API as any number of callers."""

import hashlib
import http.client
import json
import os
import secrets
import subprocess
import threading
import time
import urllib.parse

import jwt

PSQL = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]


class Stack:
    """The stack that the environment names, as for the smoke tests (Tests/smoke/support.bash)."""

    def __init__(self):
        self.home = os.environ["CHATTY_HOME"]
        self.database = os.environ["CHATTY_TEST_DATABASE_URL"]
        self.address = urllib.parse.urlsplit(os.environ["CHATTY_TEST_URL"]).netloc
        self.issuer = os.environ.get("CHATTY_PUBLIC_URL") or f"http://localhost:{self.address.rsplit(':', 1)[1]}"

    def sql(self, statement):
        """The rows of a statement, or of the last of several, as lists of texts."""
        answer = subprocess.run(
            PSQL + [self.database, "--command", statement], check=True, stdout=subprocess.PIPE, text=True
        )
        return [line.split("|") for line in answer.stdout.splitlines()]

    def copy(self, table, chunks, before="", options="", after=""):
        """Puts rows into a table, the bytes of COPY in `chunks`; the statements before and after are of the same session."""
        arguments = []
        for statement in filter(None, [before, f"COPY {table} FROM STDIN {options}", after]):
            arguments += ["--command", statement]
        with subprocess.Popen(PSQL + [self.database] + arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as psql:
            for chunk in chunks:
                psql.stdin.write(chunk)
            psql.stdin.close()
        if psql.returncode:
            raise SystemExit(f"cannot fill {table}")

    def sign_in(self, users):
        """A session for each of these users, and a token for each session: by id."""
        rows = "".join(f"{user}\t\\\\x{hashlib.sha256(secrets.token_bytes(16)).hexdigest()}\t2100-01-01\n" for user in users)
        self.copy("sessions (user_id, refresh_hash, expires_at)", [rows.encode()])
        sessions = self.sql("SELECT user_id, max(id) FROM sessions WHERE ended_at IS NULL GROUP BY user_id")
        wanted = set(users)
        with open(f"{self.home}/keys/private.pem", encoding="ascii") as file:
            key = file.read()
        with open(f"{self.home}/keys/jwks.json", encoding="ascii") as file:
            key_id = json.load(file)["keys"][0]["kid"]
        now = int(time.time())
        tokens = {}
        for user, session in ((int(user), session) for user, session in sessions):
            if user in wanted:
                claims = {
                    "aud": "chatty", "exp": now + 900, "iat": now, "iss": self.issuer, "jti": secrets.token_urlsafe(16),
                    "sid": session, "sub": str(user),
                }
                tokens[user] = jwt.encode(claims, key, algorithm="ES256", headers={"kid": key_id, "typ": "at+jwt"})
        return tokens

    def connection(self):
        return http.client.HTTPConnection(self.address, timeout=60)

    @staticmethod
    def get(connection, path, token):
        """The status and the body of an answer, and the seconds that it took."""
        started = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, body, time.perf_counter() - started

    def get_all(self, requests, clients=4):
        """The answers to (path, token) pairs, asked for by some clients at once: lists of status and JSON."""
        answers = [None] * len(requests)

        def client(first):
            connection = self.connection()
            for number in range(first, len(requests), clients):
                status, body, _ = self.get(connection, *requests[number])
                answers[number] = (status, json.loads(body))
            connection.close()

        threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers
