"""The command line. Every command is thin: it reads the configuration and hands over to the part that does the work.

Imports stand inside the commands, so that `--help` and the small roles start quickly.
"""

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from connectors.errors import ConnectorError
from connectors.facts import FeedbackVerdict
from connectors.series import Grain
from service.alerts_cli import app as alerts_app
from service.cli_options import API_URL, MOMENTS, ConfigOption, TokenOption, UrlOption
from service.closed_pipe import QuietGroup
from service.digests.form import Form as DigestFormat
from service.errors import SpendwatchError
from service.routes_cli import app as routes_app
from service.silences_cli import app as silences_app

app = typer.Typer(
    name="spendwatch",
    cls=QuietGroup,
    help="Streaming anomaly detection for what cloud and AI workloads cost.",
    epilog="Start with [bold]spendwatch demo[/bold]. Then write a spendwatch.yaml, try it with"
    " [bold]spendwatch check-config[/bold], and run it with [bold]spendwatch up[/bold].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RUN = "Run"
_LOOK = "Look"

deliveries_app = typer.Typer(
    help="See what was sent to receivers, and send again what was given up.", no_args_is_help=True
)
app.add_typer(alerts_app, name="alerts", rich_help_panel=_LOOK)
app.add_typer(deliveries_app, name="deliveries", rich_help_panel=_LOOK)
app.add_typer(routes_app, name="routes", rich_help_panel=_LOOK)
app.add_typer(silences_app, name="silences", rich_help_panel=_LOOK)

digest_app = typer.Typer(help="Look at a digest before it is sent, or send one now.", no_args_is_help=True)
app.add_typer(digest_app, name="digest", rich_help_panel=_LOOK)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: turns our errors into one message and their exit code. arguments: None takes the process's."""
    try:
        app(arguments)
    except (SpendwatchError, ConnectorError) as error:
        from service.console import clean

        # Names, states and paths are anybody's text; the lines of a message are ours.
        message = "\n".join(clean(line) for line in str(error).split("\n"))
        typer.echo(f"spendwatch: {message}", err=True)
        sys.exit(error.exit_code)


def _run(work: Coroutine[object, object, int]) -> None:
    try:
        code = asyncio.run(work)
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    raise typer.Exit(code)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"spendwatch {version('spendwatch')}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    supervised: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    del version
    if supervised:
        from service.processes import end_with_parent

        end_with_parent()


@app.command(rich_help_panel=_RUN)
def demo(
    *,
    stay: Annotated[bool, typer.Option("--stay", help="Keep the dashboard up afterwards, until Ctrl-C.")] = False,
) -> None:
    """See it work: real and synthetic spend, accelerated, on embedded parts. Ends by itself in about a minute."""
    from service.demo.run import run_demo

    _run(run_demo(stay=stay))


@app.command(rich_help_panel=_RUN)
def up(config: ConfigOption = None) -> None:
    """Everything on this machine: all roles, and an embedded broker and cache for what is not configured."""
    from service.check_config import mistakes
    from service.config import load
    from service.up import run_up

    _run(run_up(load(config, check=mistakes), config))


@app.command(rich_help_panel=_RUN)
def worker(config: ConfigOption = None) -> None:
    """Detect: read facts from Kafka, judge them, record alerts. Run as many as there are partitions."""
    from service.app import run_worker
    from service.check_config import mistakes
    from service.config import load

    _run(run_worker(load(config, check=mistakes)))


@app.command(rich_help_panel=_RUN)
def api(config: ConfigOption = None) -> None:
    """Serve the HTTP API, the live stream, the dashboard and the ingest endpoint."""
    from service.app import run_api
    from service.config import load

    _run(run_api(load(config)))


@app.command(rich_help_panel=_RUN)
def deliver(config: ConfigOption = None) -> None:
    """Send what is due in the outbox to the receivers."""
    from service.app import run_deliver
    from service.config import load

    _run(run_deliver(load(config)))


@app.command(rich_help_panel=_RUN)
def connect(
    names: Annotated[list[str] | None, typer.Argument(help="Connectors to run; without names all of them.")] = None,
    *,
    config: ConfigOption = None,
    once: Annotated[bool, typer.Option("--once", help="Read what is there, print a summary, and end.")] = False,
) -> None:
    """Read bills and meters and publish facts. With --once it ends with 2 if a file cannot be used or is missing."""
    from service.app import run_connect
    from service.config import load

    _run(run_connect(load(config), names or [], once=once))


@app.command(rich_help_panel=_LOOK)
def tail(
    *,
    url: UrlOption = API_URL,
    token: TokenOption = None,
    after: Annotated[int | None, typer.Option(help="Begin after this event; 0 shows everything kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also what nobody is told of by itself.")] = False,
) -> None:
    """Watch alerts as people are told of them."""
    from service.tail import tail as watch

    async def work() -> int:
        await watch(url, token=token, after=after, as_json=as_json, everything=everything)
        return 0

    _run(work())


@deliveries_app.command("list")
def list_deliveries(
    *,
    state: Annotated[
        str | None, typer.Option(help="pending, delivered, dead (given up), superseded or known; without it all.")
    ] = None,
    receiver: Annotated[str | None, typer.Option(help="Only those to this receiver.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    url: UrlOption = API_URL,
    token: TokenOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One message a line, as JSON.")] = False,
) -> None:
    """List messages to receivers, and why they were given up."""
    from service.api_client import ApiClient
    from service.deliveries import listed, show

    with ApiClient(url, token=token) as api:
        show(listed(api, state=state, receiver=receiver, limit=limit), as_json=as_json)


@deliveries_app.command("resend")
def resend_deliveries(
    delivery_id: Annotated[str | None, typer.Argument(help="Id of one message, as `list` shows it.")] = None,
    *,
    receiver: Annotated[str | None, typer.Option(help="All that was given up for this receiver.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was given up.")] = False,
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """Send again what was given up: one message, a receiver's, or all."""
    from service.api_client import ApiClient
    from service.deliveries import resend
    from service.errors import ConfigError

    if (delivery_id is not None) + (receiver is not None) + everything != 1:
        raise ConfigError("name the id of a message, or --receiver, or --all")
    with ApiClient(url, token=token) as api:
        count = resend(api, delivery_id=delivery_id, receiver=receiver)
    typer.echo(f"{count} message{'' if count == 1 else 's'} will be sent again")


@digest_app.command("preview")
def preview_digest(
    name: Annotated[str, typer.Argument(help="The digest's name in the configuration.")],
    *,
    config: ConfigOption = None,
    at: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="As it would have been sent last at this time, in UTC.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="The letter about this value alone, such as a team.")] = None,
    form: Annotated[DigestFormat, typer.Option("--format", help="As a terminal, a mail or a webhook has it.")] = (
        DigestFormat.TEXT
    ),
) -> None:
    """Print what a digest would say; without --at, of the days before now."""
    from service.digests.command import preview

    when = None if at is None else at.replace(tzinfo=UTC)
    typer.echo(asyncio.run(preview(config, name, at=when, value=group, form=form)))


@digest_app.command("send")
def send_digest(
    name: Annotated[str, typer.Argument(help="The digest's name in the configuration.")],
    *,
    config: ConfigOption = None,
    now: Annotated[bool, typer.Option("--now", help="Beside its schedule, which goes on.")] = False,
) -> None:
    """Send a digest to its receivers without waiting for its time; `spendwatch deliver` or `up` delivers it."""
    from service.digests.command import send
    from service.errors import ConfigError

    if not now:
        raise ConfigError("a digest is sent at its time; say --now to send one beside it")
    count = asyncio.run(send(config, name))
    typer.echo(f"{count} message{'' if count == 1 else 's'} put into the outbox")


@app.command(rich_help_panel=_LOOK)
def replay(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Bills (FOCUS, CUR), metric CSV or facts as JSON lines, packed or not; folders and globs."
            " Without any, the connectors of the configuration."
        ),
    ] = None,
    *,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One alert a line, as JSON, and nothing else.")] = False,
    against: Annotated[
        Path | None, typer.Option(help="An older configuration: print what the one of --config would change.")
    ] = None,
    quiet_days: Annotated[
        float | None,
        typer.Option(min=0.01, help="Find the lowest sigma without an alert in so many last days."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write charts of the alerts to this HTML file.")] = None,
    topic: Annotated[
        str | None, typer.Option(help="Replay this topic of the configured Kafka; `facts` means its facts topic.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=MOMENTS, help="First record time of a --topic, in UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=MOMENTS, help="Record time of a --topic to stop before, in UTC.")
    ] = None,
) -> None:
    """What the alerts would be: files or a topic through the worker's own code, at full speed."""
    from service.replay.command import Request
    from service.replay.command import replay as run_replay

    request = Request(
        paths=files or (),
        config=config,
        against=against,
        topic="" if topic == "facts" else topic,
        since=None if since is None else since.replace(tzinfo=UTC),
        until=None if until is None else until.replace(tzinfo=UTC),
        quiet_days=quiet_days,
        plot=plot,
        as_json=as_json,
    )
    _run(run_replay(request))


@app.command(rich_help_panel=_LOOK)
def feedback(
    alert: Annotated[str, typer.Argument(help="The id of an alert.")],
    verdict: Annotated[FeedbackVerdict, typer.Argument(help="What it was.")],
    *,
    actor: Annotated[str, typer.Option(envvar="USER", help="Who says so.")],
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """Say what an alert was: its series is judged accordingly from now on."""
    from service.api_client import ApiClient
    from service.opinion import give_feedback

    with ApiClient(url, token=token) as api:
        give_feedback(api, alert, verdict, actor=actor, comment=comment)
    typer.echo(f"{alert}: {verdict.value}")


@app.command(rich_help_panel=_LOOK)
def score(
    files: Annotated[
        list[Path] | None, typer.Argument(help="timestamp,value CSV; without files standard input.")
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Write each file's scores there, under its own name.")] = None,
    detector: Annotated[
        str, typer.Option(help="A name of check-config --detectors; or metrics: all columns together.")
    ] = "usage",
    grain: Annotated[Grain, typer.Option(help="How far apart the rows are.")] = Grain.FIVE_MINUTES,
) -> None:
    """Score a metric: timestamp,value CSV in, the rows with an anomaly_score (0 to 1; 0.5 and above is an anomaly) out.

    Ends with 1 if rows could not be read (they have no score), with 2 if an input could not be used.
    """
    from service.score import Scoring, run

    raise typer.Exit(run(files or [], out, Scoring(detector=detector, grain=grain)))


@app.command("check-config", rich_help_panel=_LOOK)
def check_config(
    config: ConfigOption = None,
    *,
    detectors: Annotated[bool, typer.Option("--detectors", help="List detectors and their parameters.")] = False,
) -> None:
    """Say what a configuration means, or everything that is wrong with it and where. Ends with 2 if it has mistakes."""
    from service.check_config import describe_detectors, report

    typer.echo(describe_detectors() if detectors else report(config))


@app.command(rich_help_panel=_LOOK)
def schema(
    name: Annotated[
        str, typer.Argument(help="fact, watermark, alert, spend, anomaly, digest, expiry, asyncapi or config.")
    ] = "fact",
) -> None:
    """Print the JSON Schema of a message, of the configuration file, or the AsyncAPI document of the topics."""
    from service.schemas import print_schema

    typer.echo(print_schema(name))


if __name__ == "__main__":
    main()
