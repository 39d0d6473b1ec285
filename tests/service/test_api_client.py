"""What the command line does with an address, a token and an id before it asks our API."""

import httpx
import pytest

from service.api_client import ApiClient, segment
from service.cli import main
from service.errors import ConfigError, UnavailableError


def gone(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("gone")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not a url",
        "127.0.0.1:8321",
        "//api",
        "ftp://api",
        "http://",
        "http://[::1",
        "http://api:99999",
        "http://api:0",
        "http://api:x",
        "http://a b",
        "http://a..b",
        f"http://{'a' * 64}",
        "http://api\x1b[2J",
        "http://\udcff",
    ],
)
@pytest.mark.parametrize("command", [("alerts", "list"), ("tail",)], ids=" ".join)
def test_an_address_that_can_never_work_ends_with_2_and_one_line(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...], url: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--url", url])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("spendwatch: --url: expected an address such as http://127.0.0.1:8321, got ")
    assert (said.count("\n"), "\x1b" in said) == (1, False)


@pytest.mark.parametrize(
    "url", ["http://api", "https://api.example:443/spend", "http://[::1]:8321", "http://127.0.0.1:65535", "http://é.eu"]
)
def test_an_address_that_may_work_is_asked(url: str) -> None:
    api = ApiClient(url, token=None, transport=httpx.MockTransport(gone))
    with pytest.raises(UnavailableError, match="does not answer: ConnectError"):
        api.ask("GET", "/api/v1/alerts")


@pytest.mark.parametrize("url", ["http://ada:s3cret@[::1", "ada:s3cret@api:80", "http://ada:s3/cret@api"])
def test_a_password_in_an_address_that_is_none_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ApiClient(url, token=None)
    assert "s3" not in str(refused.value)
    assert "***@" in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "http://api:8321 does not answer: ConnectError"),
        (httpx.Response(503, json={"detail": "no"}), "http://api:8321 answered 503: no"),
        (httpx.Response(404, json={"detail": "no"}), "http://api:8321 answered 404: no"),
        (httpx.Response(200, text="<html>"), "http://api:8321 did not answer with JSON: is that where the API is?"),
    ],
    ids=["away", "broken", "refused", "elsewhere"],
)
def test_a_password_in_the_address_is_used_and_not_repeated(answer: httpx.Response | None, said: str) -> None:
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return gone(request) if answer is None else answer

    api = ApiClient("http://ada:s3cret@api:8321?q=s3cret", token=None, transport=httpx.MockTransport(reply))
    with pytest.raises((ConfigError, UnavailableError)) as failed:
        api.ask("GET", "/api/v1/alerts")
    assert str(failed.value) == said
    assert asked[0].headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("token", ["é", "a\nb", "abc ", " abc", "\udcff"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str], token: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["alerts", "list", "--token", token, "--url", "http://127.0.0.1:1"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said == "spendwatch: --token: expected printable ASCII characters without a blank at either end\n"


def test_text_that_is_not_utf8_is_refused() -> None:
    api = ApiClient("http://api", token=None, transport=httpx.MockTransport(gone))
    for how in ({"params": {"text": "a\udcff"}}, {"json": {"comment": "a\udcff"}}):
        with pytest.raises(ConfigError, match=r"expected text in UTF-8, got one with '\\udcff'"):
            api.ask("POST", "/api/v1/alerts", **how)


@pytest.mark.parametrize(
    ("ident", "path"), [("a/1", "a%2F1"), ("...", "..."), ("é", "%C3%A9"), ("a b?#", "a%20b%3F%23")]
)
def test_an_id_is_one_segment(ident: str, path: str) -> None:
    assert segment(ident) == path


@pytest.mark.parametrize("ident", ["", " ", ".", ".."])
@pytest.mark.parametrize(
    "command",
    [
        ("alerts", "show"),
        ("alerts", "reopen", "--actor", "ada"),
        ("deliveries", "resend"),
        ("silences", "expire"),
        ("silences", "extend", "--by", "1h"),
        ("routes", "test", "--alert"),
        ("feedback", "--actor", "ada", "--comment", "x"),
    ],
    ids=" ".join,
)
def test_what_names_another_path_is_no_id(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...], ident: str
) -> None:
    verdict = ["expected"] if command[0] == "feedback" else []
    with pytest.raises(SystemExit) as ended:
        main([*command, ident, *verdict, "--url", "http://127.0.0.1:1"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"spendwatch: expected an id as a list shows it, got {ident!r}\n"
