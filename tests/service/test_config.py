"""One YAML file plus the environment; every mistake at once, with its place."""

from datetime import timedelta
from pathlib import Path

import pytest

from service.check_config import mistakes as check_config_mistakes
from service.config import load
from service.errors import ConfigError
from service.receiver_settings import WebhookReceiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def write(folder: Path, text: str) -> Path:
    path = folder / "spendwatch.yaml"
    path.write_text(text)
    return path


def mistakes(path: Path | None, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ)
    return str(caught.value).replace(str(path), "file").splitlines()


def test_without_a_file_the_defaults_hold() -> None:
    assert load(None, {}).api.port == 8321


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path, ""), {}) == load(None, {})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "api: {port: 1}\nkafka: {partitions: 8}\n")
    settings = load(path, {"SPENDWATCH_API__PORT": "2", "SPENDWATCH_SPLIT__TAGS": "[team, squad]"})
    assert (settings.api.port, settings.kafka.partitions, settings.split.tags) == (2, 8, ("team", "squad"))


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "kafka:\n  bootstrap_server: x\n  partitions: 0\npolicies:\n  - floor: -1\n    match: {metrik: a}\n"
        "route: {receiver: desk}\n",
    )
    assert mistakes(path) == [
        "file:2: kafka.bootstrap_server: unknown name",
        "file:3: kafka.partitions: Input should be greater than or equal to 1",
        "file:5: policies[0].floor: Input should be greater than or equal to 0",
        "file:6: policies[0].match.metrik: unknown name",
        "file:7: route.receiver: 'desk' is not one of the receivers: none is configured",
    ]


def test_a_route_to_nobody_is_a_mistake(tmp_path: Path) -> None:
    (mistake,) = mistakes(write(tmp_path, "route: {routes: [{receiver: [desk]}]}\n"))
    assert mistake == "file:1: route.routes[0].receiver[0]: 'desk' is not one of the receivers: none is configured"


def test_routes_as_they_were_written_before_are_told_where_they_went(tmp_path: Path) -> None:
    (mistake,) = mistakes(write(tmp_path, "tenant: a\nroutes: [{receiver: desk}]\n"))
    assert mistake.startswith("file:2: routes: is now `route: {routes: [...]}` with matchers such as")


def test_what_is_wrong_with_a_routing_tree_is_told_with_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "receivers:\n  - {type: pagerduty, name: pager, key: x}\n  - {type: pagerduty, name: spare, key: y}\n"
        "time_intervals:\n  - {name: nights, time_intervals: [{weekdays: [moonday], location: CEST}]}\n"
        "  - {name: unused, time_intervals: [{times: [{start_time: '22:00', end_time: '06:00'}]}]}\n"
        "route:\n  receiver: pager\n  matchers: ['a=b']\n  group_wait: soon\n  routes:\n"
        "    - {matchers: ['team=~\"(\"'], mute_time_intervals: [nigths]}\n"
        "    - {matchers: ['severity>=hihg'], active_time_intervals: [nights], receivr: pager}\n"
        "inhibit_rules:\n  - {source_matchers: [], target_matchers: ['=']}\n",
    )
    assert [line.removeprefix("file:") for line in mistakes(path)] == [
        "3: receivers[1].name: no route names 'spare': name it in one, or leave it out",
        "5: time_intervals[0].time_intervals[0].weekdays[0]: expected a day of the week such as monday, got 'moonday'",
        "5: time_intervals[0].time_intervals[0].location: expected an IANA time zone such as Europe/Berlin, got 'CEST'",
        "6: time_intervals[1].name: no route names 'unused': name it in one, or leave it out",
        "6: time_intervals[1].time_intervals[0].times[0]: expected an end after 22:00, got 06:00"
        " (write a night as two: up to 24:00, and from 00:00)",
        "9: route.matchers: is for children (`routes`): every alert enters at the root, at any time",
        "10: route.group_wait: expected a duration such as 30s, 5m or 1h30m, or a number of seconds, got 'soon'",
        "12: route.routes[0].mute_time_intervals[0]: 'nigths' is not one of the time_intervals: nights, unused",
        "12: route.routes[0].matchers[0]: team=~: a parenthesis that nothing closes at character 1 of '('",
        "13: route.routes[1].matchers[0]: severity is one of critical, high, medium, low, got 'hihg'",
        "13: route.routes[1].receivr: unknown name",
        "15: inhibit_rules[0].source_matchers: expected at least one element",
        '15: inhibit_rules[0].target_matchers[0]: expected a label\'s name, such as in team="search":'
        " got '=' at character 1 of '='",
    ]


def test_a_name_that_stands_twice_is_told_at_the_second_place(tmp_path: Path) -> None:
    one = "  - {type: focus, name: bill, path: a.csv}\n"
    (mistake,) = mistakes(write(tmp_path, f"connectors:\n{one}{one}"))
    assert mistake == "file:3: connectors[1].name: connectors[0] is named 'bill' too"


def test_a_wrong_shape_hides_no_other_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, "api: {port: many}\nsplit: {tags: team}\nroute: {receiver: desk}\n")
    assert [mistake.split(":")[1] for mistake in mistakes(path)] == ["1", "2", "3"]
    assert "must be a list, such as [a, b]" in mistakes(path)[1]


def test_an_item_of_the_wrong_shape_hides_no_mistake_of_the_others(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "receivers:\n  - {type: pagerduty, name: pager, ky: x}\n  - {type: email, name: mail, host: smtp.example}\n"
        "  - {type: webhook, name: pager, url: 5, secret: 6}\n  - {type: alertmanager, name: am, burst: 0}\n"
        "split: {tags: [1, 2]}\nroute: {receiver: [mail, am, pager], routes: [{receiver: desk}, {}]}\n",
    )
    assert mistakes(path) == [
        "file:2: receivers[0].ky: unknown name",
        "file:2: receivers[0]: receiver 'pager' needs key or key_file",
        "file:3: receivers[1].sender: is missing",
        "file:3: receivers[1].to: is missing",
        "file:4: receivers[2].name: receivers[0] is named 'pager' too",
        "file:4: receivers[2].url: Input should be a valid string",
        "file:4: receivers[2].secret: Input should be a valid string",
        "file:5: receivers[3].burst: Input should be greater than or equal to 1",
        "file:5: receivers[3]: receiver 'am' needs urls",
        "file:6: split.tags[0]: Input should be a valid string",
        "file:6: split.tags[1]: Input should be a valid string",
        "file:7: route.routes[0].receiver: 'desk' is not one of the receivers: pager, mail, pager, am",
    ]


def test_what_a_further_check_finds_keeps_its_place_beside_an_item_of_the_wrong_shape(tmp_path: Path) -> None:
    path = write(tmp_path, "policies:\n  - {floor: -1}\n  - {sigm: 3}\n  - {match: 5}\n  - {detector: none}\n")
    with pytest.raises(ConfigError) as raised:
        load(path, {}, lambda settings: [(("policies", len(settings.policies) - 1, "detector"), "is none")])
    assert str(raised.value).splitlines()[-1] == f"{path}:5: policies[3].detector: is none"


def test_a_type_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path) -> None:
    (mistake,) = mistakes(write(tmp_path, "connectors:\n  - {type: focuss, name: bill, path: a.csv}\n"))
    assert mistake == (
        "file:2: connectors[0].type: 'focuss' is not one of focus, cur, metric_csv, synthetic; did you mean focus?"
    )
    (mistake,) = mistakes(write(tmp_path, "receivers: [{type: slack, name: chat}]\n"))
    assert mistake.endswith("; did you mean slack_webhook or slack_bot?")


def test_a_secret_file_that_is_not_there_is_one_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, "receivers: [{type: webhook, name: desk, url: 'https://desk.example', secret_file: s}]\n")
    assert mistakes(path) == [f"file:1: receivers[0].secret_file: {tmp_path / 's'}: No such file or directory"]


def test_a_key_that_stands_twice_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes(write(tmp_path, "tenant: a\ntenant: b\n")) == ["file:2: tenant stands here again (line 1)"]


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    (mistake,) = mistakes(write(tmp_path, "kafka:\n  - [a\n"))
    assert mistake.startswith("file:3: ")


def test_a_missing_file_is_said() -> None:
    (mistake,) = mistakes(Path("nowhere.yaml"))
    assert mistake == "file: No such file or directory"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SPENDWATCH_API__PORT", "many", "SPENDWATCH_API__PORT: Input should be a valid integer"),
        ("SPENDWATCH_KAFKA__BOTSTRAP", "x", "no setting is named BOTSTRAP; did you mean BOOTSTRAP_SERVERS?"),
        ("SPENDWATCH_KAFKA", "x", "SPENDWATCH_KAFKA: KAFKA is a section"),
        ("SPENDWATCH_TENANT__NAME", "x", "TENANT has no parts"),
    ],
)
def test_a_variable_that_sets_nothing_is_a_mistake(name: str, text: str, message: str) -> None:
    (mistake,) = mistakes(None, **{name: text})
    assert message in mistake


def test_a_secret_comes_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "desk.secret").write_text(SECRET + "\n")
    path = write(
        tmp_path, "receivers: [{type: webhook, name: desk, url: 'https://desk.example', secret_file: desk.secret}]\n"
    )
    receiver = load(path, {}).receivers[0]
    assert isinstance(receiver, WebhookReceiver)
    assert receiver.secret is not None
    assert receiver.secret.get_secret_value() == SECRET


def test_a_secret_comes_from_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, "receivers: [{type: webhook, name: desk, url: 'https://desk.example', secret: '${DESK}'}]\n")
    receiver = load(path, {"DESK": SECRET}).receivers[0]
    assert isinstance(receiver, WebhookReceiver)
    assert receiver.secret is not None
    assert receiver.secret.get_secret_value() == SECRET
    assert SECRET not in repr(receiver)
    assert mistakes(path) == ["file:1: receivers[0].secret: the environment has no DESK"]


def test_a_secret_given_twice_is_a_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, "api: {token: a, token_file: b}\n")
    assert mistakes(path) == ["file:1: api.token: set one of token and token_file, not both"]


def test_an_open_port_without_a_token_is_refused(tmp_path: Path) -> None:
    (mistake,) = mistakes(write(tmp_path, "api: {host: 0.0.0.0}\n"))
    assert "reachable from outside: set token or token_file" in mistake


def test_a_mistake_never_shows_the_secret(tmp_path: Path) -> None:
    path = write(tmp_path, f"receivers: [{{type: webhook, name: desk, secret: {SECRET}, urll: x}}]\n")
    assert SECRET not in "\n".join(mistakes(path))


def test_a_matcher_on_a_label_called_path_is_no_file(tmp_path: Path) -> None:
    receiver = f"{{type: webhook, name: desk, url: 'https://desk.example', secret: {SECRET}}}"
    path = write(
        tmp_path, f"receivers: [{receiver}]\nroute: {{routes: [{{receiver: desk, matchers: [path=checkout]}}]}}\n"
    )
    route = load(path, {}).route
    assert route is not None
    assert route.routes[0].matchers == ("path=checkout",)


def test_a_receiver_that_lacks_something_is_told_at_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "receivers:\n  - {type: pagerduty, name: pager}\n  - {name: desk}\n"
        "  - {type: servicenow, name: snow, url: 'https://snow.example', user: x}\n",
    )
    assert mistakes(path) == [
        "file:2: receivers[0]: receiver 'pager' needs key or key_file",
        "file:3: receivers[1]: type is missing",
        "file:4: receivers[2]: receiver 'snow' needs either token or user and password (each also as ..._file)",
    ]


def test_every_secret_of_a_receiver_comes_from_a_file(tmp_path: Path) -> None:
    for name in ("token", "key", "password"):
        (tmp_path / name).write_text(f"hunter2-{name}\n")
    path = write(
        tmp_path,
        "receivers:\n  - {type: slack_bot, name: a, channel: C1, token_file: token}\n"
        "  - {type: pagerduty, name: b, key_file: key}\n"
        "  - {type: servicenow, name: c, url: 'https://snow.example', user: x, password_file: password}\n",
    )
    settings = load(path, {})
    secrets = [getattr(one, name) for one, name in zip(settings.receivers, ("token", "key", "password"), strict=True)]
    assert [secret.get_secret_value() for secret in secrets] == ["hunter2-token", "hunter2-key", "hunter2-password"]
    assert "hunter2" not in repr(settings)


def test_an_alertmanagers_address_holds_no_password_and_none_is_shown(tmp_path: Path) -> None:
    text = "receivers:\n  - name: am\n    type: alertmanager\n    urls: ['https://am.example', 'https://u:hush@am2.example']\n"
    (told,) = mistakes(write(tmp_path, text))
    assert told.startswith("file:4: receivers[0].urls: expected addresses without user and password")
    assert "hush" not in told


def test_a_digest_to_nobody_is_told_at_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "receivers: [{type: pagerduty, name: pager, key: x}]\n"
        "digests:\n"
        "  - {name: a, receivers: [desk]}\n"
        "  - {name: a, to: {search: [pager, mail]}}\n"
        "  - {name: b}\n"
        "  - {name: c, receivers: [pager], time_zone: Mars}\n",
    )
    assert mistakes(path) == [
        "file:3: digests[0].receivers: 'desk' is not one of the receivers: pager",
        "file:4: digests[1].name: digests[0] is named 'a' too",
        "file:4: digests[1].to.search: 'mail' is not one of the receivers: pager",
        "file:5: digests[2]: set receivers, or `to` with the receivers of single values: nobody would get it",
        "file:6: digests[3].time_zone: must be a time zone such as Europe/Berlin, got 'Mars'",
    ]


def test_who_is_told_of_the_end_of_silences_has_to_carry_letters(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "receivers:\n"
        "  - {type: pagerduty, name: pager, key: x}\n"
        "  - {type: slack_webhook, name: chat, url: 'https://hooks.slack.com/x'}\n"
        "silences:\n"
        "  tell: [chat, pager, nobody]\n",
    )
    with pytest.raises(ConfigError) as raised:
        load(path, {}, check=check_config_mistakes)
    assert str(raised.value).endswith(
        "5: silences.tell: pager, nobody cannot be told; receivers that carry letters: chat"
    )


def test_a_receiver_that_is_told_of_silences_only_needs_no_route(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "receivers:\n"
        "  - {type: slack_webhook, name: chat, url: 'https://hooks.slack.com/x'}\n"
        "  - {type: slack_webhook, name: ops-chat, url: 'https://hooks.slack.com/y'}\n"
        "route: {receiver: chat}\n"
        "silences: {tell: [ops-chat]}\n",
    )
    assert load(path, {}, check=check_config_mistakes).silences.tell == ("ops-chat",)
    with pytest.raises(ConfigError, match=r"silences.tell: 'nobody' is not one of the receivers: chat, ops-chat"):
        load(write(tmp_path, path.read_text().replace("[ops-chat]", "[ops-chat, nobody]")), {})


@pytest.mark.parametrize(("seconds", "said"), [(59, "greater than or equal to 60"), (604_801, "less than or equal")])
def test_silences_end_soon_for_a_minute_to_a_week(tmp_path: Path, seconds: int, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"silences\.expires_soon_seconds: .*{said}"):
        load(write(tmp_path, f"silences: {{expires_soon_seconds: {seconds}}}\n"), {})
    settings = load(write(tmp_path, "silences: {expires_soon_seconds: 7200}\n"), {})
    assert settings.silences.expires_soon == timedelta(hours=2)


def test_a_digest_for_one_that_carries_none_is_refused_with_those_that_do(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "receivers:\n"
        "  - {type: pagerduty, name: pager, key: x}\n"
        "  - {type: slack_webhook, name: chat, url: 'https://hooks.slack.com/x'}\n"
        "digests: [{name: weekly, receivers: [chat, pager]}]\n",
    )
    with pytest.raises(ConfigError) as raised:
        load(path, {}, check=check_config_mistakes)
    assert str(raised.value).endswith("4: digests[0]: no digest can be sent to pager; receivers that carry one: chat")


def test_a_time_of_day_is_read_with_and_without_quotes(tmp_path: Path) -> None:
    text = "receivers: [{type: slack_webhook, name: chat, url: 'https://hooks.slack.com/x'}]\ndigests:\n"
    for number, at in enumerate(("08:00", "18:30", "'18:30'")):
        text += f"  - {{name: d{number}, receivers: [chat], at: {at}}}\n"
    digests = load(write(tmp_path, text), {}).digests
    assert [f"{digest.at:%H:%M}" for digest in digests] == ["08:00", "18:30", "18:30"]


def test_a_value_called_path_or_secret_is_no_file(tmp_path: Path) -> None:
    text = "receivers: [{type: slack_webhook, name: chat, url: 'https://hooks.slack.com/x'}]\n"
    path = write(tmp_path, text + "digests: [{name: d, to: {path: chat, secret_file: chat}}]\n")
    assert load(path, {}).digests[0].to == {"path": "chat", "secret_file": "chat"}


def test_a_receiver_that_only_a_digest_names_needs_no_route(tmp_path: Path) -> None:
    receivers = "".join(
        f"  - {{type: slack_webhook, name: {name}, url: 'https://hooks.slack.com/{name}'}}\n"
        for name in ("desk", "finance", "nobody")
    )
    text = f"receivers:\n{receivers}route: {{receiver: desk}}\ndigests: [{{name: d, to: {{search: finance}}}}]\n"
    (mistake,) = mistakes(write(tmp_path, text))
    assert "'nobody'" in mistake
