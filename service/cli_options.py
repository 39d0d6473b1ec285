"""Options that several commands have."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

MOMENTS = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"]
API_URL = "http://127.0.0.1:8321"

UrlOption = Annotated[str, typer.Option(help="Where the API answers.")]
TokenOption = Annotated[str | None, typer.Option(envvar="SPENDWATCH_API__TOKEN", help="The API's token.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="SPENDWATCH_CONFIG", help="The YAML file; without it the defaults hold."),
]


def duration(option: str, text: str) -> timedelta:
    """What an option such as `--for 8h` says. Raises ConfigError."""
    from service.core.durations import parse_duration
    from service.errors import ConfigError

    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None
