from collections.abc import Mapping

import pytest

from connectors.cells import CellError
from connectors.connector import BadReason
from connectors.tags import MAX_VALUE_LENGTH, TagSelector, fold_key, parse_tags, shorten, strip_prefixes


@pytest.mark.parametrize("cell", [None, "", "NULL", "null", "{}", " {} ", {}, []])
def test_no_tags_in_any_spelling_are_no_tags(cell: object) -> None:
    assert dict(parse_tags(cell)) == {}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('{"team": "search", "env": "dev"}', {"team": "search", "env": "dev"}),
        ('{"spot": true, "keep": false}', {"spot": "true", "keep": "false"}),
        (
            '{"version": 1.10, "shard": 7, "big": 12345678901234567890}',
            {"version": "1.10", "shard": "7", "big": "12345678901234567890"},
        ),
        ('{"team": null, "owner": "", "org": "  ", "x": "NULL"}', {}),
        ('{" org": " acme "}', {"org": "acme"}),
        ('{"team": "a\\nb\\u0000c"}', {"team": "a b c"}),
        ('"team": "search","env": "dev"', {"team": "search", "env": "dev"}),
        ({"team": "search", "none": None}, {"team": "search"}),
        ([("team", "search"), ("none", None)], {"team": "search"}),
    ],
)
def test_tags_become_clean_text(cell: object, expected: dict[str, str]) -> None:
    assert dict(parse_tags(cell)) == expected


@pytest.mark.parametrize(
    "cell",
    ["team=search", '["team"]', '{"team": {"name": "search"}}', '{"team": ["a"]}', '{"team": "a"', "7", 7, ["team"]],
)
def test_what_is_no_tag_object_is_malformed(cell: object) -> None:
    with pytest.raises(CellError) as caught:
        parse_tags(cell)
    assert caught.value.reason is BadReason.MALFORMED


def test_long_values_are_cut_and_stay_distinct() -> None:
    one, two = shorten("x" * 500 + "1"), shorten("x" * 500 + "2")
    assert len(one) == len(two) == MAX_VALUE_LENGTH
    assert one != two
    assert shorten("x" * MAX_VALUE_LENGTH) == "x" * MAX_VALUE_LENGTH


@pytest.mark.parametrize("key", ["cost_center", "CostCenter", "Cost Center", "cost-center", "COST.CENTER"])
def test_keys_are_compared_without_case_and_punctuation(key: str) -> None:
    assert fold_key(key) == "costcenter"


@pytest.mark.parametrize(
    ("key", "bare"),
    [
        ("resourceTags/user:Team", "Team"),
        ("user_team", "team"),
        ("aws:createdBy", "createdBy"),
        ("costCategory/CostCenter", "CostCenter"),
        ("user:", "user:"),
        ("team", "team"),
    ],
)
def test_providers_prefixes_are_taken_off(key: str, bare: str) -> None:
    assert strip_prefixes(key) == bare


@pytest.mark.parametrize(
    ("tags", "team"),
    [
        ({"team": "a", "Team": "b", "user:team": "c"}, "a"),
        ({"Team": "b", "user:team": "c"}, "b"),
        ({"user:team": "c", "squad": "d"}, "c"),
        ({"squad": "d"}, "d"),
        ({"TEAM": "e", "Team": "f"}, "e"),
        ({"owner": "g"}, None),
    ],
    ids=["exact", "other case", "prefix", "alias", "first in order", "not listed"],
)
def test_the_closest_spelling_of_a_listed_tag_wins(tags: Mapping[str, str], team: str | None) -> None:
    selector = TagSelector(("team", "environment"), {"Squad": "team"})
    assert selector.select(tags) == (team, None)
    assert selector.select(dict(reversed(list(tags.items())))) == (team, None)


def test_usual_other_spellings_are_known() -> None:
    assert TagSelector(("environment", "cost_center")).select({"Env": "dev", "CostCentre": "7"}) == ("dev", "7")
