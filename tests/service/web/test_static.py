"""Vendored files are what their table says, and pages have nothing inline."""

import hashlib
import re

import pytest

from service.web.pages import STATIC

TEMPLATES = sorted((STATIC.parent / "templates").glob("*.html"))


def test_table_has_the_digest_of_every_vendored_file() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| npm.*`([0-9a-f]{64})` \|$", (STATIC / "README.md").read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == ["htmx.min.js", "uplot.min.js", "uplot.min.css"]
    for name, digest in rows:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest, name


def test_licences_are_shipped() -> None:
    assert "Zero-Clause BSD" in (STATIC / "htmx.LICENSE").read_text()
    assert "MIT License" in (STATIC / "uplot.LICENSE").read_text()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_template_has_nothing_inline(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    assert not re.search(r"\son\w+=|\sstyle=|<style|hx-on|javascript:|\|\s*safe", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


@pytest.mark.parametrize("name", ["live.js", "chart.js"])
def test_own_scripts_never_make_html_from_text(name: str) -> None:
    text = (STATIC / name).read_text()
    assert not re.search(r"innerHTML|outerHTML\s*=|insertAdjacentHTML|document\.write|eval\(|new Function", text)
