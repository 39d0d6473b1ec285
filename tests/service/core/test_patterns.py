"""Regular expressions that take no longer than the text is long: the same answers as `re`, without its backtracking."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.patterns import Pattern, PatternError

LEAVES = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "\\d", "\\w", "-", "\\.", "[b-d]", "é", "[a[]"])


def _combined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantifier = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "{0}"])
    return st.one_of(
        st.tuples(parts, parts).map("".join),
        st.tuples(parts, parts).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(parts, quantifier).map(lambda two: f"(?:{two[0]}){two[1]}"),
    )


PATTERNS = st.recursive(LEAVES, _combined, max_leaves=6)


@settings(max_examples=500)
@given(pattern=PATTERNS, text=st.text(alphabet="abcd1-.é\n[", max_size=8))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_it_says_what_re_says(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) is (re.fullmatch(pattern, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("", "", True),
        ("a|", "", True),
        ("^search$", "search", True),
        ("(?i)search", "SeArch", True),
        ("search", "Search", False),
        ("a{2}", "aa", True),
        ("a{2}", "a", False),
        ("a{,2}", "a{,2}", True),
        ("[]a]+", "]a", True),
        ("cost\\$", "cost$", True),
        ("[^/]+/.*", "a/b/c", True),
    ],
)
def test_a_pattern_is_all_of_the_text(pattern: str, text: str, found: bool) -> None:
    assert Pattern(pattern).matches(text) is found


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(.*)*b", ".*.*.*.*.*.*b", "(a?){40}a{40}b"])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    # With `re` any of these would not end within the life of the test.
    assert not Pattern(pattern).matches("a" * 5000)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(", "nothing closes at character 1"),
        (")", "nothing opens at character 1"),
        ("*a", "a repetition of nothing"),
        ("a**", "a repetition of a repetition"),
        ("a{3,2}", "end is before its beginning"),
        ("[a", "a class that no ] ends"),
        ("[[:alpha:]]", "not known"),
        ("[z-a]", "bad character range"),
        ("(?<x>a)", "not known"),
        ("a\\", "a backslash before nothing"),
        ("\\pL", "is not known"),
        ("a^b", "within the pattern"),
        ("((a{100}){100}){100}", "at most 1024 characters with repetitions written out"),
        ("(((){999}){999}){999}", "fewer repetitions"),
        ("(" * 100 + ")" * 100, "at most 32 parentheses"),
        ("a" * 600, "at most 512 characters, got 600"),
    ],
)
def test_what_is_not_known_is_refused_with_its_place(pattern: str, says: str) -> None:
    with pytest.raises(PatternError) as raised:
        Pattern(pattern)
    assert says in str(raised.value)


@given(pattern=st.text(alphabet="ab()[]{}|*+?.\\^$-,1:i&~", max_size=20), text=st.text(max_size=5))
def test_any_pattern_is_read_or_refused(pattern: str, text: str) -> None:
    try:
        Pattern(pattern).matches(text)
    except PatternError:
        return
