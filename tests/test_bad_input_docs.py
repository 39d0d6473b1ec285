"""docs/bad-input.md promises nothing that no test holds."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "bad-input.md"


def test_every_row_names_tests_that_exist() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    known = set(re.findall(r"def (test_\w+)\(", tests))
    rows = [line for line in DOCUMENT.read_text().splitlines() if re.match(r"\| (?!what comes)", line)]
    assert len(rows) > 20
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named, row
        assert named <= known, f"{named - known} in: {row}"
