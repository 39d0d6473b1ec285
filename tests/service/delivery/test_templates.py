"""A user's own words: escaped, bounded, and their mistakes told with receiver, template and line."""

from pathlib import Path

import pytest

from service.check_config import mistakes
from service.config import load
from service.core.alerts import EventType
from service.delivery.message import message_of
from service.delivery.templates import MAX_TEMPLATE, Wording
from service.delivery.texts import mrkdwn
from service.errors import ConfigError
from service.receiver_settings import Templates
from tests.builders import make_event


def make(**templates: object) -> Wording:
    return Wording(
        Templates.model_validate(templates), where="receiver 'chat'", escape=mrkdwn, public_url="https://s.example"
    )


def test_without_templates_our_words_stand() -> None:
    event = make_event()
    assert make().message(event) == message_of(event, "https://s.example")


def test_markup_of_the_template_stays_and_that_of_a_tag_does_not() -> None:
    event = make_event(labels={"team": "<!channel>"})
    message = make(title="<{{ labels.team }}>", text="<https://x|{{ labels.team | upper }}> {{ '<b>' }}").message(event)
    assert message.title == "<<!channel>>", "a title is plain text"
    assert message.text == "<https://x|&lt;!CHANNEL&gt;> &lt;b&gt;"


def test_everything_that_is_documented_is_there() -> None:
    text = "{{ title }}{{ news }}{{ reason }}{{ action }}{{ link }}{% for f in facts %}{{ f.name }}{{ f.value }}"
    text += "{% endfor %}{% for d in drivers %}{{ d.name }}{{ d.change }}{{ d.before }}{{ d.now }}"
    text += "{{ d.labels.service_name }}{% endfor %}"
    names = (
        "event state severity kind resource tenant unit actual expected lower upper impact starts_at ends_at id actor"
    )
    later = "comment acknowledged_by acknowledged_until assigned_to resolved_by"
    text += "".join(f"{{{{ {name} }}}}" for name in f"{names} {later}".split())
    message = make(text=text + "{{ labels.nobody }}{{ impact | money(unit) }}").message(make_event())
    assert message.text is not None
    assert "292.50 USD" in message.text
    assert "Amazon EC2+260.00 USD80.0340.0Amazon EC2" in message.text


@pytest.mark.parametrize(
    ("templates", "problem"),
    [
        ({"text": "one\n{{ title "}, "receiver 'chat': templates.text:2: "),
        ({"title": "{{ titel }}"}, "receiver 'chat': templates.title:1: 'titel' is undefined"),
        ({"text": "\n\n{{ 1 / 0 }}"}, "receiver 'chat': templates.text:3: ZeroDivisionError"),
        ({"text": "{% include 'x' %}"}, "receiver 'chat': templates.text:1: "),
        ({"text": "{{ title | shout }}"}, "receiver 'chat': templates.text:1: No filter named 'shout'"),
        ({"text": "{{ ''.__class__.__mro__ }}"}, "receiver 'chat': templates.text:1: access to attribute '__class__'"),
        ({"text": "{{ labels.update(a=1) }}"}, "receiver 'chat': templates.text:1: "),
        ({"text": "{% for i in range(9) %}{% endfor %}"}, "'range' is undefined"),
        ({"text": "x" * (MAX_TEMPLATE + 1)}, "must be at most 20000 characters"),
        ({"text": "{{ oops }}", "text_file": "chat.j2"}, "receiver 'chat': templates.text_file chat.j2:1: 'oops'"),
    ],
)
def test_a_mistake_names_receiver_template_and_line(templates: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**templates)
    assert problem in str(caught.value)


def test_a_template_that_fails_on_an_alert_leaves_it_to_our_words() -> None:
    wording = make(text="{{ 1 / (labels.team | length) }}")
    event = make_event(labels={})
    assert wording.message(event) == message_of(event, "https://s.example")


def test_what_comes_of_a_template_is_bounded() -> None:
    event = make_event(reason="x" * 2000, drivers=())
    message = make(text="{{ reason }}" * 1500).message(event)
    assert message.text is not None
    assert len(message.text) <= MAX_TEMPLATE


def test_check_config_tells_of_a_template_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "chat.j2").write_text("hello\n{{ titel }}\n")
    path = tmp_path / "spendwatch.yaml"
    path.write_text(
        "receivers:\n"
        "  - {type: slack_webhook, name: chat, url: 'https://hooks.example/x', templates: {text_file: chat.j2}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(path, {}, check=mistakes)
    assert f"{path}:2: receivers[0]: receiver 'chat': templates.text_file {tmp_path / 'chat.j2'}:2: " in str(
        caught.value
    )


@pytest.mark.parametrize("event", list(EventType))
def test_every_event_says_what_happened(event: EventType) -> None:
    assert (
        event.value.replace("ack_expired", "no longer acknowledged") in make().message(make_event(event)).news.lower()
    )
