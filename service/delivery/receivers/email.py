"""Mail over SMTP: a mail for every message, those of an alert in one thread.

All attempts carry the same Message-ID, by which mail servers and clients know a repetition. The name of the server is
resolved and checked as for every receiver, and the connection made to an address that was checked.
"""

import asyncio
import base64
import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import ClassVar

import structlog

from service.delivery.address import AddressRefusedError, Resolver, SystemResolver, checked_addresses
from service.delivery.calls import hide
from service.delivery.message import Message
from service.delivery.receivers.configured import Configured
from service.delivery.receivers.receiver import CarriesLetters, Delivered, FailureReason, Outcome, Rejected, Retry
from service.delivery.receivers.smtp import SmtpSession
from service.delivery.templates import Wording
from service.delivery.texts import as_html, cut, one_line, plain
from service.digests.html import html_of
from service.digests.letter import page_of
from service.digests.page import lines_of
from service.errors import ConfigError
from service.receiver_settings import EmailReceiver
from service.store.store import Delivery, LetterDelivery

_log = structlog.get_logger(__name__)

_SUBJECT = 200
_PROBLEM = 500


class Email(Configured, CarriesLetters):
    """The Receiver protocol. resolver, tls: for tests."""

    newest_only: ClassVar[bool] = False

    def __init__(
        self,
        config: EmailReceiver,
        *,
        public_url: str | None = None,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Raises ConfigError for an address or a template that cannot be used."""
        super().__init__(config)
        where = self.where
        self._config = config
        self._sender = _addresses(where, "sender", [config.sender])[0]
        self._to = _addresses(where, "to", config.to)
        self._secrets = _forms(config)
        if config.password is not None and config.security == "none":
            raise ConfigError(f"{where}: a password is only sent over TLS; set security to starttls or tls")
        self._wording = Wording(config.templates, where=where, escape=plain, public_url=public_url)
        self._public_url = public_url
        self._system = SystemResolver()
        self._resolver = resolver or self._system
        self._tls = tls or ssl.create_default_context()
        # Threads of its own: a mail server that hangs delays nobody else.
        self._threads = ThreadPoolExecutor(max_workers=config.concurrency, thread_name_prefix=f"mail {config.name}")

    def __repr__(self) -> str:
        return f"Email({self.name!r}, {self._address})"

    @property
    def _address(self) -> str:
        return f"{self._config.host}:{self._config.port}"

    async def send(self, delivery: Delivery, *, now: datetime) -> Outcome:
        message = self._wording.message(delivery.event, delivery.members)
        return await self._take(compose(message, delivery, sender=self._sender, to=self._to, at=now))

    async def send_letter(self, delivery: LetterDelivery, *, now: datetime) -> Outcome:
        letter = compose_letter(delivery, self._public_url, sender=self._sender, to=self._to, at=now)
        return await self._take(letter)

    async def _take(self, mail: EmailMessage) -> Outcome:
        """Hand a mail to the server."""
        session = SmtpSession(self._config, self._tls)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._config.timeout_seconds):
                addresses = await checked_addresses(
                    self._resolver,
                    self._config.host,
                    self._config.port,
                    allow_private=self._config.allow_private,
                )
                refused = await loop.run_in_executor(
                    self._threads, session.send, [str(address) for address in addresses], mail, self._to
                )
        except AddressRefusedError as error:
            return Rejected(reason=FailureReason.REFUSED_ADDRESS, detail=str(error))
        except (TimeoutError, smtplib.SMTPException, OSError) as error:
            return self._outcome(error)
        finally:
            session.cut()
        if refused:
            _log.warning("some recipients were refused", receiver=self.name, refused=refused, of=len(self._to))
        return Delivered(remote_id=mail["Message-ID"])

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._system.close()

    def _outcome(self, error: Exception) -> Outcome:
        """4xx may pass, 5xx will not (RFC 5321, section 4.2.1)."""
        detail = f"{self._address}: {hide(_problem(error), self._secrets)}"
        if isinstance(error, TimeoutError):
            detail = f"{self._address} did not take the mail within {self._config.timeout_seconds:g} s"
            return Retry(reason=FailureReason.TIMEOUT, detail=detail)
        code = _code(error)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Rejected(reason=FailureReason.CLIENT_ERROR, detail=detail)
        if code is None:
            return Retry(reason=FailureReason.NETWORK, detail=detail)
        if 400 <= code < 500:
            return Retry(reason=FailureReason.SERVER_ERROR, detail=detail)
        return Rejected(reason=FailureReason.CLIENT_ERROR, detail=detail)


def compose(
    message: Message, delivery: Delivery, *, sender: Address, to: Sequence[Address], at: datetime
) -> EmailMessage:
    """The mail, the same in all attempts but for its date. Pure."""
    mail = _envelope(message.title, delivery.id, sender=sender, to=to, at=at)
    thread = f"<{hashlib.sha256(delivery.event.record.alert.id.encode()).hexdigest()[:32]}@{sender.domain}>"
    mail["In-Reply-To"] = thread
    mail["References"] = thread
    mail["X-Spendwatch-Alert"] = message.marker
    mail.set_content("\n".join([message.news, "", *message.lines()]))
    if message.text is None:
        mail.add_alternative(_html(message), subtype="html")
    return mail


def compose_letter(
    delivery: LetterDelivery, public_url: str | None, *, sender: Address, to: Sequence[Address], at: datetime
) -> EmailMessage:
    """As `compose`; a letter begins a thread of its own. Pure."""
    page = page_of(delivery.letter.content, public_url)
    mail = _envelope(page.title, delivery.id, sender=sender, to=to, at=at)
    if delivery.letter.digest is not None:
        mail["X-Spendwatch-Digest"] = delivery.letter.digest
    mail.set_content("\n".join([page.title, "", *lines_of(page)]))
    mail.add_alternative(html_of(page), subtype="html")
    return mail


def _envelope(title: str, id_: str, *, sender: Address, to: Sequence[Address], at: datetime) -> EmailMessage:
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = sender
    mail["To"] = tuple(to)
    # One line: a line break in a tag must not begin another header.
    mail["Subject"] = cut(one_line(title), _SUBJECT)
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{id_}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence note answers it
    return mail


def _html(message: Message) -> str:
    rows = "".join(
        f"<tr><th align='left'>{as_html(name)}</th><td>{as_html(value)}</td></tr>" for name, value in message.facts
    )
    drivers = "".join(f"<li>{as_html(driver)}</li>" for driver in message.drivers)
    parts = [
        f"<h2>{as_html(message.title)}</h2><p>{as_html(message.news)}</p>",
        f"<p>{as_html(message.reason)}</p>" if message.reason else "",
        f"<table cellpadding='4'>{rows}</table>",
        f"<p>What changed:</p><ul>{drivers}</ul>" if drivers else "",
        f"<p><b>What to do:</b> {as_html(message.action)}</p>" if message.action else "",
        f"<p><a href='{as_html(message.link)}'>Details</a></p>" if message.link else "",
    ]
    return "<!doctype html><html><body>" + "".join(parts) + "</body></html>"


def _forms(config: EmailReceiver) -> list[str]:
    """The password as it is, and as it goes over the wire: a server may quote what it was sent."""
    if config.password is None:
        return []
    password = config.password.get_secret_value()
    sent = (password, f"\0{config.user}\0{password}")
    return [password, *(base64.b64encode(text.encode()).decode() for text in sent)]


def _addresses(where: str, setting: str, texts: Sequence[str]) -> list[Address]:
    found = []
    for text in texts:
        name, plain_address = parseaddr(text)
        try:
            if not text.isprintable():
                raise ValueError("a line break")
            address = Address(display_name=name, addr_spec=plain_address)
        except (ValueError, IndexError, HeaderParseError):
            raise ConfigError(f"{where}: {setting} must hold mail addresses, got {text[:100]!r}") from None
        if not address.username or not address.domain:
            raise ConfigError(f"{where}: {setting} must hold mail addresses with a domain, got {text[:100]!r}")
        found.append(address)
    return found


def _code(error: Exception) -> int | None:
    """The server's answer; of several refused recipients one that may pass, if there is one."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        return min(codes, default=None)
    code = getattr(error, "smtp_code", None)
    return code if isinstance(code, int) and code > 0 else None


def _problem(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        refused = (f"{to}: {code} {text.decode(errors='replace')}" for to, (code, text) in error.recipients.items())
        return cut("; ".join(refused), _PROBLEM)
    text = getattr(error, "smtp_error", None)
    code = _code(error)
    if code is not None and isinstance(text, bytes | str):
        return cut(f"{code} {text.decode(errors='replace') if isinstance(text, bytes) else text}", _PROBLEM)
    return cut(one_line(str(error)) or type(error).__name__, _PROBLEM)
