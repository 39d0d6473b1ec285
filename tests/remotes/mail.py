"""A mail server on a loopback port: RFC 5321 as far as a client needs it, with STARTTLS and AUTH."""

import asyncio
import base64
import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.remotes.listener import Listener

PASSWORD = "hunter2-mail"


class MailRemote(Listener):
    """refusals: verb -> what is answered to it instead, e.g. `{"RCPT": "450 busy"}`. hangs: verb after which nothing
    comes any more. unknown: a recipient it does not know. mails: envelope recipients and message of what was taken."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.refusals: dict[str, str] = {}
        self.hangs = ""
        self.unknown = ""
        self.tls_since: str | None = None
        self._tls = tls

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: C901  # one case a verb
        recipients: list[str] = []
        secure = False
        writer.write(b"220 mail.example ESMTP\r\n")
        while line := (await reader.readuntil(b"\r\n")).decode().strip():
            verb = line.split(" ")[0].split(":")[0].upper()
            if verb == self.hangs:
                await asyncio.Event().wait()
            if verb in self.refusals:
                writer.write(self.refusals[verb].encode() + b"\r\n")
                continue
            match verb:
                case "EHLO":
                    offer = "STARTTLS" if self._tls and not secure else "AUTH PLAIN"
                    writer.write(f"250-mail.example\r\n250 {offer}\r\n".encode())
                case "STARTTLS":
                    writer.write(b"220 go ahead\r\n")
                    await writer.drain()
                    await writer.start_tls(self._tls)  # type: ignore[arg-type]  # offered only where there is one
                    secure, self.tls_since = True, "STARTTLS"
                case "AUTH":
                    right = base64.b64decode(line.split(" ")[-1]).endswith(PASSWORD.encode())
                    writer.write(b"235 ok\r\n" if right else b"535 bad credentials " + line.encode() + b"\r\n")
                case "MAIL":
                    recipients = []
                    writer.write(b"250 ok\r\n")
                case "RCPT":
                    recipient = line.partition("<")[2].rstrip(">")
                    if recipient == self.unknown:
                        writer.write(b"550 no such user\r\n")
                        continue
                    recipients.append(recipient)
                    writer.write(b"250 ok\r\n")
                case "DATA":
                    writer.write(b"354 go ahead\r\n")
                    data = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                    data = data.replace(b"\r\n..", b"\r\n.")  # RFC 5321, section 4.5.2
                    mail = message_from_bytes(data, policy=policy.default)
                    assert isinstance(mail, EmailMessage)
                    if "END" in self.refusals:
                        writer.write(self.refusals["END"].encode() + b"\r\n")
                        continue
                    self.mails.append((recipients, mail))
                    writer.write(b"250 queued\r\n")
                case "QUIT":
                    writer.write(b"221 bye\r\n")
                    return
                case _:
                    writer.write(b"250 ok\r\n")
