"""A mail server for tests, as patient or as rude as it is told to be (aiosmtpd).

    smtp.py PORT FOLDER [--tls CERTIFICATE KEY] [--login USER PASSWORD] [--host ADDRESS]

Each mail that it accepts is a file FOLDER/NUMBER.eml, complete before the server says yes. How it behaves is said in the file
FOLDER/behaviour, read anew for each command; it may be changed at any time:

    accept           the default
    slow SECONDS     takes so long before it accepts a mail
    greet CODE       greets with this, so nobody gets any further
    mail CODE        answers this to MAIL
    refuse CODE      answers this to RCPT
    refuse-data CODE answers this to the mail itself
    close            closes the connection in the middle of a mail
    silent           takes the mail and never answers
    one-in COUNT CODE
                     answers CODE to every mail but each COUNTth

FOLDER/log has a line an event: connect, data (a mail is here), mail NUMBER (and accepted), refused, closed, silent.
"""

import argparse
import asyncio
import os
import ssl

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("folder")
parser.add_argument("--tls", nargs=2)
parser.add_argument("--login", nargs=2)
parser.add_argument("--host", default="127.0.0.1")
options = parser.parse_args()

names = iter(range(10**9))
mails = iter(range(10**9))


def note(text):
    with open(f"{options.folder}/log", "a", encoding="ascii") as file:
        file.write(text + "\n")


def behaviour():
    try:
        with open(f"{options.folder}/behaviour", encoding="ascii") as file:
            return file.read().split() or ["accept"]
    except FileNotFoundError:
        return ["accept"]


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, mail_options):
        what = behaviour()
        if what[0] == "mail":
            note("refused")
            return f"{what[1]} not from you"
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        what = behaviour()
        if what[0] == "refuse":
            note("refused")
            return f"{what[1]} not for {address.split('@')[0][:3]}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        note("data")
        what = behaviour()
        if what[0] == "slow":
            await asyncio.sleep(float(what[1]))
        elif what[0] == "close":
            note("closed")
            server.transport.abort()
            return "250 not that anybody hears it"
        elif what[0] == "silent":
            note("silent")
            await asyncio.sleep(3600)
        elif what[0] == "refuse-data":
            note("refused")
            return f"{what[1]} no"
        elif what[0] == "one-in" and next(mails) % int(what[1]) != 0:
            note("refused")
            return f"{what[2]} not this time"
        number = next(names)
        path = f"{options.folder}/{os.getpid()}-{number}"
        with open(path, "wb") as file:
            file.write(f"X-Envelope: {envelope.mail_from} {' '.join(envelope.rcpt_tos)}\r\n".encode())
            file.write(f"X-Channel: tls={session.ssl is not None} login={session.authenticated}\r\n".encode())
            file.write(envelope.original_content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path, path + ".eml")
        note(f"mail {number}")
        return "250 accepted"


class Noting(SMTP):
    def connection_made(self, transport):
        note("connect")
        super().connection_made(transport)

    async def push(self, status):
        what = behaviour()
        if what[0] == "greet" and isinstance(status, str) and self.__ident__ in status:
            status = f"{what[1]} nobody is wanted here"
        await super().push(status)


def authenticate(server, session, envelope, mechanism, data):
    right = [part.decode() for part in (data.login, data.password)] == options.login
    return AuthResult(success=right, handled=right)


class Server(Controller):
    def factory(self):
        settings = {"timeout": 900, "enable_SMTPUTF8": False}
        if options.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*options.tls)
            settings |= {"tls_context": context, "require_starttls": True}
        if options.login:
            settings |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": bool(options.tls)}
        return Noting(self.handler, **settings)


server = Server(Handler(), hostname=options.host, port=options.port, ready_timeout=10)
server.start()
try:
    asyncio.new_event_loop().run_forever()
finally:
    server.stop()
