"""Our signatures against the specification's vector and the reference library."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.delivery.signing import (
    SecretError,
    SignatureError,
    SignatureProblem,
    SigningSecret,
    parse_secrets,
    sign,
    verify,
)
from tests.service.delivery.fakes import SECRET

ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
OTHER = "whsec_" + "QUJD" * 11
AT = datetime.fromtimestamp(1614265330, UTC)


def signed(secret: str, *, body: bytes = BODY, timestamp: int = 1614265330) -> dict[str, str]:
    signature = sign(parse_secrets(secret), message_id=ID, timestamp=timestamp, body=body)
    return {"webhook-id": ID, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def test_the_vector_of_the_specification() -> None:
    assert signed(SECRET)["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_reference_library_accepts_what_we_sign() -> None:
    now = datetime.now(UTC)
    body = '{"type":"cost.anomaly.opened","team":"日本"}'
    headers = signed(SECRET, body=body.encode(), timestamp=int(now.timestamp()))
    assert Webhook(SECRET).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(body, headers)


def test_we_accept_what_the_reference_library_signs() -> None:
    signature = Webhook(SECRET).sign(ID, AT, BODY.decode())
    headers = {"webhook-id": ID, "webhook-timestamp": "1614265330", "webhook-signature": signature}
    verify(parse_secrets(SECRET), headers, BODY, now=AT)


def test_rotation_signs_with_both_and_accepts_either() -> None:
    headers = signed(f"{OTHER} {SECRET}")
    assert len(headers["webhook-signature"].split()) == 2
    verify(parse_secrets(SECRET), headers, BODY, now=AT)
    verify(parse_secrets(OTHER), headers, BODY, now=AT)
    verify(parse_secrets(f"{OTHER} {SECRET}"), signed(SECRET), BODY, now=AT)
    assert Webhook(SECRET).verify(
        BODY.decode(), signed(f"{OTHER} {SECRET}", timestamp=int(datetime.now(UTC).timestamp()))
    )


@pytest.mark.parametrize(
    ("changes", "now", "problem"),
    [
        ({"webhook-id": "msg_other"}, AT, SignatureProblem.NO_MATCH),
        ({"webhook-id": ""}, AT, SignatureProblem.MISSING_HEADER),
        ({"webhook-signature": "v1a,AAAA v2,x é"}, AT, SignatureProblem.NO_MATCH),
        ({"webhook-timestamp": "1614265331"}, AT, SignatureProblem.NO_MATCH),
        ({"webhook-timestamp": "yesterday"}, AT, SignatureProblem.BAD_TIMESTAMP),
        ({"webhook-timestamp": "9" * 40}, AT, SignatureProblem.BAD_TIMESTAMP),
        ({}, AT + timedelta(minutes=5, seconds=1), SignatureProblem.TOO_OLD),
        ({}, AT - timedelta(minutes=5, seconds=1), SignatureProblem.TOO_NEW),
    ],
    ids=["id", "no id", "signature", "timestamp", "text", "huge", "old", "new"],
)
def test_what_does_not_fit_is_refused(changes: dict[str, str], now: datetime, problem: SignatureProblem) -> None:
    with pytest.raises(SignatureError) as caught:
        verify(parse_secrets(SECRET), {**signed(SECRET), **changes}, BODY, now=now)
    assert caught.value.problem is problem


def test_a_changed_body_is_refused() -> None:
    with pytest.raises(SignatureError, match="no signature matches"):
        verify(parse_secrets(SECRET), signed(SECRET), BODY + b" ", now=AT)


@pytest.mark.parametrize("text", ["", "  ", "whsec_", "whsec_hunter2", "whsec_" + "QUJD" * 5, "whsec_" + "QUJD" * 30])
def test_a_secret_that_is_none_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(SecretError, match="openssl rand -base64 32") as caught:
        parse_secrets(text)
    assert "hunter2" not in str(caught.value)


def test_a_secret_does_not_show_itself() -> None:
    secret = SigningSecret.parse(SECRET)
    assert repr(secret) == "SigningSecret()"
    assert SigningSecret.parse(SECRET.removeprefix("whsec_")) == secret
