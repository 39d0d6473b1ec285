"""Options that several commands have."""

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
