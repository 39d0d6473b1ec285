"""What a letter is about, and how it is said to people. Pure."""

from service.digests import words
from service.digests.content import Digest
from service.digests.expiry import ExpiryWarning, page_of_warning
from service.digests.page import Page

Content = Digest | ExpiryWarning


def page_of(content: Content, public_url: str | None) -> Page:
    """public_url: where the dashboard is; None: without links."""
    match content:
        case ExpiryWarning():
            return page_of_warning(content, public_url)
        case Digest():
            return words.page_of(content, public_url)
