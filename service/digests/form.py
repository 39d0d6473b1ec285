"""The forms in which a digest can be looked at."""

from enum import StrEnum


class Form(StrEnum):
    """text: as a terminal or a plain mail shows it. html: as a mail does. json: what a webhook is sent."""

    TEXT = "text"
    HTML = "html"
    JSON = "json"
