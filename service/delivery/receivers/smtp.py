"""One conversation with a mail server, in a thread: to an address that was checked, and cut off from outside."""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage

from service.receiver_settings import EmailReceiver


class SmtpSession:
    """One conversation with the mail server, in a thread; `cut` ends it from outside."""

    def __init__(self, config: EmailReceiver, tls: ssl.SSLContext) -> None:
        self._config = config
        self._tls = tls
        self._socket: socket.socket | None = None
        self._is_cut = False

    def send(self, addresses: Sequence[str], mail: EmailMessage, to: Sequence[Address]) -> int:
        """How many of *to* were refused while others were not. Raises SMTPException and OSError."""
        config = self._config
        with self._connected(addresses) as connection:
            if config.security == "starttls":
                connection.starttls(context=self._tls)  # raises when the server does not offer it
                self._socket = connection.sock
            if config.user is not None and config.password is not None:
                connection.login(config.user, config.password.get_secret_value())
            recipients = [address.addr_spec for address in to]
            sender = mail["From"].addresses[0].addr_spec
            return len(connection.send_message(mail, from_addr=sender, to_addrs=recipients))

    def cut(self) -> None:
        """Nothing the server does can hold the thread any longer."""
        self._is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _connected(self, addresses: Sequence[str]) -> smtplib.SMTP:
        config = self._config
        for number, address in enumerate(addresses):
            connection = _Pinned(address, config.timeout_seconds, self._tls if config.security == "tls" else None)
            try:
                connection.connect(config.host, config.port)
            except OSError:
                if number == len(addresses) - 1:
                    raise
                continue
            self._socket = connection.sock
            if self._is_cut:
                self.cut()
            return connection
        raise OSError(f"{config.host} has no address")


class _Pinned(smtplib.SMTP):
    """Connects to an address that was checked; greets, and checks the certificate, under the server's name."""

    def __init__(self, address: str, timeout: float, tls: ssl.SSLContext | None) -> None:
        super().__init__(timeout=timeout)
        self._pinned_address = address
        self._pinned_tls = tls

    def connect(self, host: str = "localhost", port: int = 0, source_address: object = None) -> tuple[int, bytes]:
        self._host = host  # what starttls checks the certificate against
        return super().connect(host, port)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = socket.create_connection((self._pinned_address, port), timeout)
        if self._pinned_tls is None:
            return connected
        return self._pinned_tls.wrap_socket(connected, server_hostname=host)
