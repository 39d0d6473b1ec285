"""HTML from templates: one strict environment, everything escaped, static files addressed by their content."""

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.connection import ASGIConnection
from litestar.enums import MediaType

from service.web.format import FILTERS

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


def _asset_urls() -> dict[str, str]:
    """Name -> address that changes with the content, so that browsers may keep a file for ever."""
    return {
        path.name: f"/static/{path.name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
        for path in STATIC.iterdir()
        if path.suffix in (".css", ".js", ".svg")
    }


def _environment() -> Environment:
    # Autoescaping for every template whatever its name: tag values are other people's text.
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    urls = _asset_urls()
    asset: Callable[[str], str] = urls.__getitem__
    environment.globals["asset"] = asset
    environment.globals["session"] = False
    return environment


_ENVIRONMENT = _environment()


def is_page(request: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether a person's browser asks for a page, rather than a program, or a page for its moving part."""
    return (
        not request.scope["path"].startswith("/api/")
        and "hx-request" not in request.headers
        and "text/html" in request.headers.get("accept", "")
    )


def render(template: str, **values: object) -> str:
    """Raises jinja2.UndefinedError for a name that was not given."""
    return _ENVIRONMENT.get_template(template).render(**values)


def page(template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: object) -> Response[str]:
    return Response(
        render(template, **values),
        status_code=status.value,
        media_type=MediaType.HTML,
        headers={"Cache-Control": "no-store", "Vary": "HX-Request, HX-History-Restore-Request"},
    )
