"""The receivers of a configuration."""

from service.delivery.receivers.receiver import Receiver
from service.delivery.receivers.webhook import Webhook
from service.errors import ConfigError
from service.settings import Settings


def make_receivers(settings: Settings) -> list[Receiver]:
    """One for each configured; opens no connection. Raises ConfigError that names every one that cannot be used."""
    receivers: list[Receiver] = []
    mistakes: list[str] = []
    for config in settings.receivers:
        try:
            receivers.append(Webhook(config, public_url=settings.api.public_url))
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("; ".join(mistakes))
    return receivers
