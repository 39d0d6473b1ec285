"""Mail to a real SMTP server on loopback."""

import base64
import ssl
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from msgspec.structs import replace

from service.core.alerts import EventType
from service.delivery.receivers.email import Email
from service.delivery.receivers.receiver import Delivered, FailureReason, Rejected, Retry
from service.errors import ConfigError
from service.receiver_settings import EmailReceiver
from tests.builders import make_event
from tests.clock import NOON
from tests.contracts.receiver import HOSTILE, message, told
from tests.remotes.mail import PASSWORD, MailRemote
from tests.service.delivery.fakes import FakeResolver

TLS = Path(__file__).parent / "tls"


def make_config(port: int = 587, **changes: object) -> EmailReceiver:
    fields: dict[str, object] = {
        "type": "email",
        "name": "mail",
        "host": "localhost",
        "port": port,
        "security": "none",
        "sender": "Spendwatch <spendwatch@example.com>",
        "to": ["Ada <ada@example.com>", "ops@example.com"],
        "allow_private": True,
    }
    return EmailReceiver.model_validate({**fields, **changes})


@pytest.fixture
async def remote() -> AsyncIterator[MailRemote]:
    async with MailRemote() as remote:
        yield remote


def make(remote: MailRemote, **changes: object) -> Email:
    resolver = FakeResolver(localhost=["127.0.0.1"])
    return Email(make_config(remote.port, **changes), public_url="https://spendwatch.example.com", resolver=resolver)


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


async def test_a_mail_says_what_it_is_about(remote: MailRemote) -> None:
    email = make(remote)
    outcome = await email.send(told(EventType.OPENED, id_="msg_1"), now=NOON)
    [(recipients, mail)] = remote.mails
    assert recipients == ["ada@example.com", "ops@example.com"]
    assert mail["Subject"] == "[medium] team=search: 412.50 USD, 120.00 expected"
    assert mail["Message-ID"] == "<msg_1@example.com>"
    assert outcome == Delivered(remote_id="<msg_1@example.com>")
    assert mail["Auto-Submitted"] == "auto-generated"
    for kind in ("plain", "html"):
        text = text_of(mail, kind)
        for part in ("412.50 USD", "120.00 USD", "+292.50 USD", "Amazon EC2", "Look at the instances"):
            assert part in text
        assert "https://spendwatch.example.com/alerts/a1" in text
    await email.close()


async def test_the_mails_of_an_alert_are_one_thread(remote: MailRemote) -> None:
    email = make(remote)
    for event in (EventType.OPENED, EventType.RESOLVED):
        await email.send(told(event), now=NOON)
    await email.send(told(EventType.OPENED, alert_id="another"), now=NOON)
    threads = [mail["References"] for _, mail in remote.mails]
    assert threads[0] == threads[1] != threads[2]
    await email.close()


async def test_a_repetition_has_the_same_message_id(remote: MailRemote) -> None:
    email = make(remote)
    for _ in range(2):
        await email.send(told(EventType.OPENED), now=NOON)
    assert len({mail["Message-ID"] for _, mail in remote.mails}) == 1
    await email.close()


async def test_a_tag_adds_no_header_and_no_markup(remote: MailRemote) -> None:
    email = make(remote)
    event = make_event(
        series=f"default/effective_cost/USD/1d/tag:team={HOSTILE}", reason=HOSTILE, action=HOSTILE, unit=HOSTILE
    )
    await email.send(message(replace(event, comment=HOSTILE, actor=HOSTILE)), now=NOON)
    [(recipients, mail)] = remote.mails
    assert recipients == ["ada@example.com", "ops@example.com"]
    assert mail["Bcc"] is None
    assert "\n" not in mail["Subject"]
    assert "<script>" not in text_of(mail, "html")
    assert "<https://evil" not in text_of(mail, "html")
    await email.close()


@pytest.mark.parametrize(
    ("refusals", "kind", "reason"),
    [
        ({"MAIL": "451 busy"}, Retry, FailureReason.SERVER_ERROR),
        ({"RCPT": "450 busy"}, Retry, FailureReason.SERVER_ERROR),
        ({"RCPT": "550 no such user"}, Rejected, FailureReason.CLIENT_ERROR),
        ({"END": "452 full"}, Retry, FailureReason.SERVER_ERROR),
        ({"END": "554 spam"}, Rejected, FailureReason.CLIENT_ERROR),
    ],
)
async def test_4xx_is_tried_again_and_5xx_is_not(
    remote: MailRemote, refusals: dict[str, str], kind: type[Retry] | type[Rejected], reason: FailureReason
) -> None:
    remote.refusals = refusals
    email = make(remote)
    outcome = await email.send(told(EventType.OPENED), now=NOON)
    assert isinstance(outcome, kind)
    assert outcome.reason is reason
    assert next(iter(refusals.values())) in outcome.detail
    await email.close()


async def test_a_recipient_that_is_refused_keeps_the_mail_from_no_other(remote: MailRemote) -> None:
    remote.unknown = "ada@example.com"
    email = make(remote)
    assert isinstance(await email.send(told(EventType.OPENED), now=NOON), Delivered)
    assert [recipients for recipients, _ in remote.mails] == [["ops@example.com"]]
    await email.close()


async def test_a_server_that_hangs_is_given_up_in_time(remote: MailRemote) -> None:
    remote.hangs = "DATA"
    email = make(remote, timeout_seconds=0.2)
    outcome = await email.send(told(EventType.OPENED), now=NOON)
    expected = f"localhost:{remote.port} did not take the mail within 0.2 s"
    assert outcome == Retry(reason=FailureReason.TIMEOUT, detail=expected)
    await email.close()


async def test_nobody_there_is_tried_again() -> None:
    email = Email(make_config(1), resolver=FakeResolver(localhost=["127.0.0.1"]))
    outcome = await email.send(told(EventType.OPENED), now=NOON)
    assert isinstance(outcome, Retry)
    assert outcome.reason is FailureReason.NETWORK
    await email.close()


async def test_an_address_in_our_network_is_refused() -> None:
    email = Email(make_config(allow_private=False), resolver=FakeResolver(localhost=["10.0.0.1"]))
    outcome = await email.send(told(EventType.OPENED), now=NOON)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is FailureReason.REFUSED_ADDRESS
    await email.close()


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and that of a client which trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    return server, ssl.create_default_context(cafile=str(TLS / "certificate.pem"))


async def test_a_password_goes_over_tls_and_is_never_shown() -> None:
    server, client = contexts()
    resolver = FakeResolver(desk_example=["127.0.0.1"])
    async with MailRemote(tls=server) as remote:
        for password, kind in ((PASSWORD, Delivered), ("wrong-" + PASSWORD + "-x", Rejected)):
            changes = {"host": "desk.example", "security": "starttls", "user": "ada", "password": password}
            email = Email(make_config(remote.port, **changes), resolver=resolver, tls=client)
            outcome = await email.send(told(EventType.OPENED), now=NOON)
            assert isinstance(outcome, kind), outcome
            sent = base64.b64encode(f"\0ada\0{password}".encode()).decode()
            assert [text for text in (password, sent) if text in f"{outcome} {email!r}"] == []
            await email.close()
        assert remote.tls_since == "STARTTLS"


async def test_a_server_without_tls_gets_no_mail(remote: MailRemote) -> None:
    email = make(remote, security="starttls")
    outcome = await email.send(told(EventType.OPENED), now=NOON)
    assert isinstance(outcome, Rejected)
    assert remote.mails == []
    await email.close()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"to": ["nobody"]}, "receiver 'mail': to must hold mail addresses"),
        ({"sender": "a@b.example\r\nBcc: c@d.example"}, "receiver 'mail': sender must hold mail addresses"),
        ({"password": "hunter2"}, "a password is only sent over TLS"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Email(make_config(587, **changes))
    assert problem in str(caught.value)
    assert "hunter2" not in str(caught.value)
