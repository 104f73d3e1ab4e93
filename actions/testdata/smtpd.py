"""A mail server for tests: smtpd.py DIR PORT MODE [CERT KEY].

Each mail goes into DIR as JSON. MODE is plain, starttls, implicit or both of
starttls and nothing, "optional". Of recipients, later-N@ are taken from the
(N+1)th time on and never@ are not; mails of which the text says so are refused.
"""

import json
import os
import re
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

directory, port, mode = sys.argv[1:4]
context = None
if len(sys.argv) > 4:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[4], sys.argv[5])


class Handler:
    asked = {}
    mails = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("never"):
            return "550 5.1.1 no such mailbox\x1b[31m"
        later = re.match(r"later-(\d+)", address)
        if later:
            n = self.asked[address] = self.asked.get(address, 0) + 1
            if n <= int(later.group(1)):
                return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if b"refuse this" in envelope.content:
            return "554 5.7.1 we do not like it"
        if b"not now" in envelope.content:
            return "452 4.3.1 the disk is full"
        Handler.mails += 1
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "content": envelope.content.decode("utf-8"),
            "tls": session.ssl is not None or mode == "implicit",
            "login": session.auth_data.decode() if session.authenticated and session.auth_data else "",
            "hello": session.host_name,
        }
        name = os.path.join(directory, "%06d" % Handler.mails)
        with open(name + ".new", "w") as f:
            json.dump(mail, f)
        os.rename(name + ".new", name + ".json")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    if not isinstance(data, LoginPassword) or (data.login, data.password) != (b"alf", b"s3cret"):
        return AuthResult(success=False, handled=False)
    return AuthResult(success=True, auth_data=mechanism.encode())


class Server(Controller):
    def factory(self):
        options = {"hostname": "mail.test", "decode_data": False}
        if mode in ("starttls", "optional"):
            options.update(tls_context=context, require_starttls=mode == "starttls")
        if mode == "starttls" or mode == "implicit":
            options.update(authenticator=authenticate, auth_required=True, auth_require_tls=mode != "implicit")
        if len(sys.argv) > 6:
            options.update(auth_exclude_mechanism=[sys.argv[6]])
        return SMTP(self.handler, **options)


server = Server(Handler(), hostname="127.0.0.1", port=int(port), ssl_context=context if mode == "implicit" else None)
server.start()
print("ready", flush=True)
threading.Event().wait()
