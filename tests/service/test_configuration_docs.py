"""docs/configuration.md mentions every setting."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from service import receiver_settings, routing_settings, settings
from service.section import Section

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
SECTIONS = [
    section
    for section in {**vars(settings), **vars(receiver_settings), **vars(routing_settings)}.values()
    if isinstance(section, type) and issubclass(section, Section) and section is not Section
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_setting_is_documented(section: type[BaseModel]) -> None:
    words = set(re.findall(r"[a-z_]+", DOCUMENT.read_text()))
    names = {field.alias or name for name, field in section.model_fields.items()}
    assert names <= words
