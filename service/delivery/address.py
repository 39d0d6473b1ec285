"""Where a message may go: a receiver's address must not lead into our own network (SSRF).

The name is resolved first, every address it has is checked, and the connection is made to one that was checked: a name
server that answers differently a moment later (DNS rebinding) gains nothing. The certificate is still checked against
the name.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

import httpx

from service.errors import SpendwatchError

IPAddress = IPv4Address | IPv6Address

_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")))
"""NAT64 (RFC 6052, RFC 8215), IPv4-translated (RFC 7915) and IPv4-compatible addresses: IPv4 in the last four bytes."""
_NO_IPV4 = frozenset(map(ipaddress.IPv6Address, ("::", "::1")))
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All that was ever given out for the internet; Python knows of the rest only what was reserved when it was built."""
_CREDENTIALS = frozenset(
    map(
        ipaddress.ip_address,
        # AWS, Google, Alibaba, Oracle, Azure (its wire server)
        ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    )
)
"""Metadata services that are not link-local."""


class AddressRefusedError(SpendwatchError):
    """An address we do not send to. host: as configured. The message names the setting that would allow it, if any."""

    def __init__(self, host: str, problem: str) -> None:
        super().__init__(f"{host}: {problem}")
        self.host = host
        self.problem = problem


class Resolver(Protocol):
    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Addresses of a name, best first. Raises OSError."""


class SystemResolver:
    """The operating system's resolver, in threads of its own: a hanging name server delays nobody else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="resolve")

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(str(address[4][0]) for address in found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def refusal(address: IPAddress, *, allow_private: bool) -> str | None:
    """Why *address* is not one to send to; None when it is.

    Where clouds answer with the credentials of the machine is never allowed: link-local addresses, and a few others.
    """
    inner = _embedded(address)
    if inner is not None:
        return refusal(inner, allow_private=allow_private)
    if address.is_unspecified or address.is_multicast:
        return f"{address} is not the address of a single machine"
    if address.is_link_local:
        return f"{address} is link-local, where clouds hand out credentials"
    if address in _CREDENTIALS:
        return f"{address} is where a cloud hands out credentials"
    if not _is_global(address) and not allow_private:
        return f"{address} is on this machine or in a private network; `allow_private: true` would permit it"
    return None


def _embedded(address: IPAddress) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one is translated to on its way."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NO_IPV4 or not any(address in network for network in _TRANSLATED):
        return None
    return IPv4Address(address.packed[-4:])


def _is_global(address: IPAddress) -> bool:
    return address.is_global and (isinstance(address, IPv4Address) or address in _GLOBAL_IPV6)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks where a request goes, then sends it to exactly there through *inner*.

    Raises AddressRefusedError, and httpx.ConnectError when the name cannot be resolved.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        resolver: Resolver,
        allow_http: bool = False,
        allow_private: bool = False,
    ) -> None:
        self._inner = inner
        self._resolver = resolver
        self._allow_http = allow_http
        self._allow_private = allow_private

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        addresses = await self._checked(request)
        for address in addresses[:-1]:
            try:
                return await self._inner.handle_async_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent; a machine without IPv6 needs the next one
        return await self._inner.handle_async_request(_pinned(request, addresses[-1]))

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _checked(self, request: httpx.Request) -> list[IPAddress]:
        url = request.url
        if url.scheme != "https" and not (url.scheme == "http" and self._allow_http):
            allowed = "http or https" if self._allow_http else "https (`allow_http: true` permits http)"
            raise AddressRefusedError(url.host, f"the scheme must be {allowed}, got {url.scheme}")
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            return await checked_addresses(self._resolver, url.host, port, allow_private=self._allow_private)
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error


async def checked_addresses(resolver: Resolver, host: str, port: int, *, allow_private: bool) -> list[IPAddress]:
    """Every address of *host*, none of them forbidden.

    Raises AddressRefusedError, and OSError when the name cannot be resolved.
    """
    try:
        found = await resolver.resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise OSError(f"cannot resolve {host}: {error}") from error
    if not found:
        raise OSError(f"cannot resolve {host}: it has no address")
    # A scope (`fe80::1%eth0`) names one of our interfaces, not where the packet goes.
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    # One forbidden address refuses them all, so that the answer does not depend on their order.
    for address in addresses:
        problem = refusal(address, allow_private=allow_private)
        if problem is not None:
            raise AddressRefusedError(host, problem)
    return addresses


def _pinned(request: httpx.Request, address: IPAddress) -> httpx.Request:
    """The same request to *address*; the Host header and the name on the certificate stay."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
