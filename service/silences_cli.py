"""`spendwatch silences`: keep alerts from people for a while."""

from typing import Annotated, Literal

import typer

from service.cli_options import API_URL, TokenOption, UrlOption, duration

app = typer.Typer(help="Keep alerts from people for a while.", no_args_is_help=True)
Kind = Literal["silence", "maintenance", "planned_spend"]
MATCHERS = typer.Argument(help="""As in routes, all must hold: 'team="search"' 'impact<500'.""")
OWNER = typer.Option(help="Whose silence it is.", envvar="USER")


@app.command("list")
def list_silences(
    *,
    state: Annotated[Literal["active", "pending", "expired"] | None, typer.Option(help="Only these.")] = None,
    url: UrlOption = API_URL,
    token: TokenOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One silence a line, as JSON.")] = False,
) -> None:
    """Say what is silenced, by whom and until when."""
    from service.api_client import ApiClient
    from service.silences import listed, show

    with ApiClient(url, token=token) as api:
        show(listed(api, state), as_json=as_json)


@app.command("add")
def add_silence(
    matchers: Annotated[list[str], MATCHERS],
    *,
    lasting: Annotated[str, typer.Option("--for", help="How long: 30m, 8h, 2d.")],
    owner: Annotated[str, OWNER],
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    kind: Annotated[Kind, typer.Option(help="Maintenance and plans look at the time of the spend.")] = "silence",
    amount: Annotated[float | None, typer.Option(help="Of planned_spend: how much more than usual a day.")] = None,
    unit: Annotated[str | None, typer.Option(help="Of the amount: USD.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what it would keep now.")] = False,
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """Silence alerts that match, or say that spend is planned."""
    from service import silences
    from service.api_client import ApiClient
    from service.clock import SystemClock

    body = silences.body_of(
        matchers,
        owner=owner,
        lasting=duration("--for", lasting),
        comment=comment,
        kind=kind,
        amount_per_day=amount,
        unit=unit,
        clock=SystemClock(),
    )
    with ApiClient(url, token=token) as api:
        if preview:
            silences.show_kept(silences.preview(api, body))
        else:
            silences.show([silences.add(api, body)], as_json=False)


@app.command("extend")
def extend_silence(
    silence_id: Annotated[str, typer.Argument(help="As `list` shows it.")],
    *,
    by: Annotated[str, typer.Option("--by", help="How much longer: 30m, 8h, 2d.")],
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """Let a silence end later."""
    from service.api_client import ApiClient
    from service.silences import extend, show

    longer = duration("--by", by)
    with ApiClient(url, token=token) as api:
        show([extend(api, silence_id, longer)], as_json=False)


@app.command("expire")
def expire_silence(
    silence_id: Annotated[str, typer.Argument(help="As `list` shows it.")],
    *,
    url: UrlOption = API_URL,
    token: TokenOption = None,
) -> None:
    """End a silence now."""
    from service.api_client import ApiClient
    from service.silences import expire, show

    with ApiClient(url, token=token) as api:
        show([expire(api, silence_id)], as_json=False)
