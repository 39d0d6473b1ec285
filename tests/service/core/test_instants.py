"""Times as facts carry them."""

import pytest

from service.core.instants import InstantError, InstantRangeError, Instants, parse_micros


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2024-09-18T00:00:00Z", 1_726_617_600_000_000),
        ("2024-09-18T13:45:07Z", 1_726_667_107_000_000),
        ("2024-09-18T13:45:07.5Z", 1_726_667_107_500_000),
        ("2024-09-18T13:45:07.123456Z", 1_726_667_107_123_456),
        ("2000-01-01T00:00:00Z", 946_684_800_000_000),
    ],
)
def test_utc_times_are_read(text: str, micros: int) -> None:
    assert parse_micros(text) == micros


@pytest.mark.parametrize(
    "text",
    ["", "Z", "2024-09-18", "2024-09-18T00:00:00", "2024-09-18 00:00:00Z", "2024-09-18T00:00:00+00:00", "x" * 99 + "Z",
     "2024-02-30T00:00:00Z", "2024-09-18T24:00:01Z", "2024-09-18T00:00:00ZZ", "２０２４-09-18T00:00:00Z"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InstantError, match=r"^expected a UTC time such as 2024-09-18T00:00:00Z, got"):
        parse_micros(text)


@pytest.mark.parametrize(("text", "before"), [("1999-12-31T23:59:59Z", True), ("2100-01-01T00:00:00Z", False)])
def test_other_centuries_are_refused(text: str, before: bool) -> None:
    with pytest.raises(InstantRangeError, match="expected a time in the years 2000 to 2099") as caught:
        parse_micros(text)
    assert caught.value.before is before


def test_any_instant_of_a_bucket_is_that_bucket() -> None:
    days = Instants(86_400)
    assert {days[f"2024-09-18T{hour:02}:59:59Z"].bucket for hour in range(24)} == {19_984}


def test_what_is_remembered_is_bounded() -> None:
    instants = Instants(60)
    for number in range(70_000):
        assert instants[f"2024-09-18T13:45:07.{number:06}Z"].bucket == 1_726_667_107 // 60
    assert len(instants) <= 65_536
