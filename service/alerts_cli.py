"""`spendwatch alerts`: look at alerts, and take care of them."""

from typing import Annotated

import typer

from service.cli_options import API_URL, TokenOption, UrlOption, duration
from service.core.alerts import COUNTED, AlertState, Severity

app = typer.Typer(help="Look at alerts, and take care of them.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.", show_default=False)]
ActorOption = Annotated[str, typer.Option(envvar="USER", help="Who does it, for the audit trail.")]
CommentOption = Annotated[str, typer.Option(help="Why; kept in the audit trail.")]
AloneOption = Annotated[bool, typer.Option("--alone", help="Not also what it is told in place of.")]


@app.command("list")
def list_alerts(
    labels: Annotated[
        list[str] | None, typer.Argument(help="Tags that all must hold: team:search service_name:AmazonEC2.")
    ] = None,
    *,
    state: Annotated[list[AlertState] | None, typer.Option(help="Any of these; without it what is open.")] = None,
    severity: Annotated[list[Severity] | None, typer.Option(help="Any of these.")] = None,
    assigned_to: Annotated[str | None, typer.Option(help="Whose task it is.")] = None,
    unassigned: Annotated[bool, typer.Option("--unassigned", help="Only what is nobody's task.")] = False,
    text: Annotated[str | None, typer.Option(help="Part of the series or of the reason.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is over, silenced, or told as part of another alert.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest activity first.")] = 50,
    url: UrlOption = API_URL,
    token: TokenOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One alert a line, as JSON.")] = False,
) -> None:
    """List alerts: those that are open, unless asked otherwise."""
    from service.alert_views import show_list
    from service.alerts import Wanted, listed
    from service.api_client import ApiClient
    from service.errors import ConfigError

    if everything and state:
        raise ConfigError("name --state or --all, not both")
    if assigned_to is not None and unassigned:
        raise ConfigError("name --assigned-to or --unassigned, not both")
    if assigned_to is not None and not assigned_to.strip():
        raise ConfigError(f"--assigned-to: expected a name, got {assigned_to!r}; what is nobody's is --unassigned")
    wanted = Wanted(
        labels=labels or (),
        states=() if everything else state or COUNTED,
        severities=severity or (),
        assigned_to=assigned_to,
        unassigned=unassigned,
        text=text,
        folded=not everything,
        limit=limit,
    )
    with ApiClient(url, token=token) as api:
        show_list(listed(api, wanted), as_json=as_json)


@app.command("show")
def show_alert(
    alert: IdArgument,
    *,
    url: UrlOption = API_URL,
    token: TokenOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as one JSON object.")] = False,
) -> None:
    """Say all that is known of an alert: why, what it costs, who did what, who was told."""
    from service.alert_views import show_one
    from service.alerts import found
    from service.api_client import ApiClient

    with ApiClient(url, token=token) as api:
        show_one(found(api, alert), base_url=api.place, as_json=as_json)


@app.command("acknowledge")
def acknowledge_alert(
    alert: IdArgument,
    *,
    lasting: Annotated[
        str | None, typer.Option("--for", help="How long: 30m, 4h, 2d; then it fires again. Without it for good.")
    ] = None,
    actor: ActorOption,
    comment: CommentOption = "",
    alone: AloneOption = False,
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """Say that you look after it. Ends with 2 if it is over."""
    from service import alerts
    from service.api_client import ApiClient
    from service.errors import ConfigError

    length = None if lasting is None else duration("--for", lasting)
    if length is not None and not alerts.SHORTEST <= length <= alerts.LONGEST:
        raise ConfigError(f"--for: expected between a second and a year, got {lasting!r}")
    with ApiClient(url, token=token) as api:
        _say(alerts.acknowledge(api, alert, actor=actor, comment=comment, lasting=length, cascade=not alone))


@app.command("assign")
def assign_alert(
    alert: IdArgument,
    to: Annotated[str | None, typer.Argument(metavar="WHO", help="Whose task it is from now on.")] = None,
    *,
    nobody: Annotated[bool, typer.Option("--nobody", help="Nobody's any more.")] = False,
    actor: ActorOption,
    comment: CommentOption = "",
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """Say whose task it is. It changes nothing else: who looks after it acknowledges it."""
    from service import alerts
    from service.api_client import ApiClient
    from service.errors import ConfigError

    if (to is not None) + nobody != 1:
        raise ConfigError("name whose task it is, or --nobody")
    with ApiClient(url, token=token) as api:
        _say(alerts.assign(api, alert, to=to, actor=actor, comment=comment))


@app.command("comment")
def comment_on_alert(
    alert: IdArgument,
    text: Annotated[str, typer.Argument(help="What is known, such as a ticket.")],
    *,
    actor: ActorOption,
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """Write something into its audit trail. No receiver is told."""
    from service import alerts
    from service.api_client import ApiClient

    with ApiClient(url, token=token) as api:
        _say(alerts.comment_on(api, alert, actor=actor, comment=text))


@app.command("resolve")
def resolve_alert(
    alert: IdArgument,
    *,
    actor: ActorOption,
    comment: CommentOption = "",
    alone: AloneOption = False,
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """Close it by hand; it stays closed for this episode."""
    from service import alerts
    from service.api_client import ApiClient

    with ApiClient(url, token=token) as api:
        _say(alerts.resolve(api, alert, actor=actor, comment=comment, cascade=not alone))


@app.command("reopen")
def reopen_alert(
    alert: IdArgument,
    *,
    actor: ActorOption,
    comment: CommentOption = "",
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """Take back what a person resolved. Ends with 2 if it cannot be."""
    from service import alerts
    from service.api_client import ApiClient

    with ApiClient(url, token=token) as api:
        _say(alerts.reopen(api, alert, actor=actor, comment=comment))


def _say(line: str) -> None:
    from service.console import clean

    typer.echo(clean(line))
