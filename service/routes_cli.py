"""`spendwatch routes`: the routing tree, and who would hear of an alert."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service.cli_options import API_URL, MOMENTS, ConfigOption, TokenOption, UrlOption

app = typer.Typer(help="See who hears of alerts, and try it.", no_args_is_help=True)


@app.command("show")
def show_routes(config: ConfigOption = None) -> None:
    """Draw the routing tree."""
    from service.config import load
    from service.core.routing import Router
    from service.route_tree import draw

    settings = load(config)
    router = Router(settings.route, [one.name for one in settings.receivers], settings.time_intervals)
    typer.echo("\n".join(draw(router.root)))


@app.command("test")
def try_routes(
    labels: Annotated[
        list[str] | None,
        typer.Argument(
            help="What the alert is like: team=search impact=1200 severity=high; what is left out is usual."
        ),
    ] = None,
    *,
    alert: Annotated[str | None, typer.Option(help="The id of an alert, asked of the API.")] = None,
    json_file: Annotated[Path | None, typer.Option("--file", help="An alert as JSON.")] = None,
    at: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="When it is to be told, UTC; without it now.")
    ] = None,
    config: ConfigOption = None,
    url: UrlOption = API_URL,
    token: TokenOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Say who would hear of an alert, by which route, and from when on. Ends with 1 if nobody ever does."""
    from service.api_client import ApiClient
    from service.clock import SystemClock
    from service.config import load
    from service.core.routing import Router
    from service.errors import ConfigError
    from service.routes import fetched, from_file, sample, try_out

    if bool(labels) + (alert is not None) + (json_file is not None) > 1:
        raise ConfigError("say what the alert is like, or name --alert, or --file: one of them")
    settings = load(config)
    moment = SystemClock().now() if at is None else at.replace(tzinfo=UTC)
    if alert is not None:
        with ApiClient(url, token=token) as api:
            subject = fetched(api, alert)
    elif json_file is not None:
        subject = from_file(json_file)
    else:
        subject = sample(labels or [], tenant=settings.tenant, at=moment)
    router = Router(settings.route, [one.name for one in settings.receivers], settings.time_intervals)
    raise typer.Exit(try_out(router, subject, at=moment, as_json=as_json))
