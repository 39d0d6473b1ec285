"""Matchers: Alertmanager's syntax, money, severity by rank."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.alerts import AlertKind, Severity
from service.core.labels import subject_of
from service.core.matchers import Matcher, MatcherError, Op, all_hold, parse_matcher, parse_matchers
from tests.builders import make_alert

ALERT = make_alert(
    labels={"team": "search", "service_name": 'Amazon "EC2"\n', "cost center": "a\\b"},
    severity=Severity.HIGH,
    impact=292.5,
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('team="search"', True),
        ("team=search", True),
        (' team = "search" ', True),
        ('team="Search"', False),
        ('team!="search"', False),
        ('team!="ads"', True),
        ('env=""', True),
        ('env!=""', False),
        ('team!=""', True),
        ('team=~"search|ads"', True),
        ('team=~"sea"', False),
        ("team=~sea.*", True),
        ('team!~"sea.*"', False),
        ('env=~".*"', True),
        ('env=~".+"', False),
        ('service_name="Amazon \\"EC2\\"\\n"', True),
        ('"cost center"="a\\\\b"', True),
        ('"cost center"=~"a\\\\\\\\b"', True),
        ('severity="high"', True),
        ('severity=~"critical|high"', True),
        ("severity>=high", True),
        ("severity>high", False),
        ("severity<critical", True),
        ("severity<=medium", False),
        ('kind="spike"', True),
        ('tenant="default"', True),
        ('unit="USD"', True),
        ('metric="effective_cost"', True),
        ('grain="1d"', True),
        ("impact>=292.5", True),
        ("impact>292.5", False),
        ("impact<300", True),
        ("excess>292", True),
        ("actual<=412.5", True),
        ("expected>=1.2e2", True),
        ("score>=0.98", False),
    ],
)
def test_a_matcher_holds_or_not(text: str, holds: bool) -> None:
    assert all_hold([parse_matcher(text)], subject_of(ALERT)) is holds


def test_money_is_compared_by_how_much_it_is() -> None:
    drop = make_alert(kind=AlertKind.DROP, impact=-700.0, actual=100.0, expected=800.0)
    assert all_hold(parse_matchers(["impact>=500", "excess>=500"]), subject_of(drop))
    assert not all_hold(parse_matchers(["impact>=500", 'kind="spike"']), subject_of(drop))


def test_all_of_a_list_must_hold_and_none_hold_always() -> None:
    assert all_hold(parse_matchers(['team="search"', "severity>=high"]), subject_of(ALERT))
    assert not all_hold(parse_matchers(['team="search"', "severity>high"]), subject_of(ALERT))
    assert all_hold((), subject_of(ALERT))


@pytest.mark.parametrize(
    ("texts", "count"), [(['a="b",c="d"'], 2), (['{a="b", c="d,e"}'], 2), (["{}"], 0), (["{a=b,}", "c=d"], 2)]
)
def test_a_text_may_hold_several(texts: list[str], count: int) -> None:
    assert len(parse_matchers(texts)) == count


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a label's name"),
        ("team", "expected one of = != =~ !~ > >= < <= after team: got the end at character 5"),
        ("team=", "expected a value after team="),
        ('team="search', "expected a closing quotation mark"),
        ("team=a b", "expected the end; a value with blanks or signs has to be quoted"),
        ('team=~"a("', "a parenthesis that nothing closes at character 2"),
        ('team=~"(?=a)"', "look-around"),
        ('team=~"(a)\\\\1"', "is not known"),
        ("impact>=much", "impact>=: expected a number, got 'much'"),
        ("impact>=nan", "expected a number"),
        ("impact=500", "impact is a number: expected impact with >=, >, <= or <, got ="),
        ("team>=5", "compares severity and the numbers impact, excess, actual, expected, score, not 'team'"),
        ("severity>=hihg", "severity is one of critical, high, medium, low, got 'hihg'"),
        ("severity=hihg", "severity is one of critical, high, medium, low, got 'hihg'"),
        ("kind=spkie", "kind is one of spike"),
        ("a=" + "b" * 3000, "at most 2048 characters"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, says: str) -> None:
    with pytest.raises(MatcherError) as raised:
        parse_matcher(text)
    assert says in str(raised.value)


def test_a_list_names_the_item() -> None:
    with pytest.raises(MatcherError, match=r"^\[1\]: expected a label's name"):
        parse_matchers(["a=b", "=b"])


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ('team="search"', True),
        ('team=~".*"', False),
        ('team=~".+"', True),
        ('team!="a"', False),
        ('severity=~".+"', False),
        ('severity!="low"', True),
        ('kind!~"x"', False),
        ("severity>=low", False),
        ("severity>=medium", True),
        ("impact>=0", False),
        ("impact>0", True),
        ("impact<100", True),
        ("score<=1", False),
        ("actual>=0", True),
    ],
)
def test_a_matcher_knows_whether_it_leaves_anything_out(text: str, selects: bool) -> None:
    assert parse_matcher(text).selects is selects


LABEL_OPS = st.sampled_from([Op.EQUAL, Op.NOT_EQUAL])


@given(name=st.text(min_size=1, max_size=20).map(lambda text: f"x{text}"), op=LABEL_OPS, value=st.text(max_size=40))
def test_text_and_back_is_the_same_matcher(name: str, op: Op, value: str) -> None:
    matcher = Matcher(name, op, value)
    assert parse_matcher(str(matcher)) == matcher
    assert parse_matchers([f"{{{matcher},{matcher}}}"]) == (matcher, matcher)


@given(text=st.text(alphabet='ab="~!<>=\\{},. (|)*+', max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        matcher = parse_matcher(text)
    except MatcherError:
        return
    assert parse_matcher(str(matcher)) == matcher
    all_hold([matcher], subject_of(ALERT))
