"""How do bytes travel over TCP? IPv4 and IPv6, wildcard addresses and ports, host names when connecting."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import trio
from attrs import evolve

from ..endpoint import Tcp, parse
from ..errors import InvalidEndpoint
from ..options import Options
from . import socket_options, sockets, socks
from .admission import by_address


class TcpTransport:
    """The scheme ``tcp``."""

    def listen(self, endpoint: Tcp, options: Options) -> sockets.SocketListener:
        if endpoint.source is not None:
            raise InvalidEndpoint(f"endpoint {str(endpoint)!r} names a source, which only connect() has")
        prepare = partial(_prepare, options, by_address(options))
        try:
            if options.use_fd is not None:
                sock = sockets.adopt(options, (socket.AF_INET, socket.AF_INET6))
                return sockets.SocketListener(sock, _endpoint_of(sock.getsockname()), prepare)
            sock, host = _bind(endpoint, options)
        except OSError as error:
            raise sockets.bind_error(endpoint, error) from None
        return sockets.SocketListener(sock, str(Tcp(host, sock.getsockname()[1])), prepare)

    def check(self, endpoint: Tcp) -> None:
        if endpoint.host == "*" or endpoint.port == 0:
            raise InvalidEndpoint(
                f"endpoint {str(endpoint)!r} cannot be connected to: name one host and one port; only bind() has "
                "wildcards, and returns what it chose"
            )
        try:
            if endpoint.host.isascii():  # others are encoded by their own rules, when they are resolved
                endpoint.host.encode("idna")
        except UnicodeError:
            raise InvalidEndpoint(
                f"endpoint {str(endpoint)!r} has the host name {endpoint.host!r}: its parts between dots have 1 to 63 "
                "characters"
            ) from None
        if endpoint.source is not None:
            with contextlib.suppress(OSError):  # an interface may be down, and come up
                _local_address(Tcp(*endpoint.source))

    async def connect(self, endpoint: Tcp, options: Options) -> sockets.SocketStream:
        if options.socks_proxy is None:
            return await self._connect_directly(endpoint, options)
        proxy = parse(f"tcp://{options.socks_proxy}")
        assert isinstance(proxy, Tcp)
        try:
            stream = await self._connect_directly(evolve(proxy, source=endpoint.source), options)
            stream.peer = str(Tcp(endpoint.host, endpoint.port))
            await _converse(
                stream, socks.dialogue(endpoint.host, endpoint.port, options.socks_username, options.socks_password)
            )
        except OSError as error:
            raise OSError(error.errno, f"SOCKS proxy {options.socks_proxy}: {error.strerror or error}") from None
        return stream

    async def _connect_directly(self, endpoint: Tcp, options: Options) -> sockets.SocketStream:
        try:
            addresses = await trio.socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise OSError(errno.EINVAL, f"{endpoint.host!r} is no host name: {error}") from None
        refusal: OSError = OSError(errno.EADDRNOTAVAIL, f"{endpoint.host} has no address")
        for family, _, _, _, address in addresses:
            try:
                return await self._connect_to(endpoint, family, address, options)
            except OSError as error:
                refusal = error
        raise refusal

    async def _connect_to(
        self, endpoint: Tcp, family: int, address: tuple[Any, ...], options: Options
    ) -> sockets.SocketStream:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            socket_options.apply(sock, options)
            if endpoint.source is not None:
                host, port = endpoint.source
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(_os_address(family, _ANY[family] if host == "*" else _source_address(host), port))
            _no_delay(sock)
        except BaseException:
            sock.close()
            raise
        stream = await sockets.connect(sock, address, _endpoint_of(address))
        if sock.getsockname() == sock.getpeername():
            # Connecting to a free port of this machine from that same port meets itself.
            stream.close()
            raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens there, the socket met itself")
        return stream


async def _converse(stream: sockets.SocketStream, dialogue: socks.Dialogue) -> None:
    """Hold ``dialogue`` on ``stream`` to its end, and read nothing of what comes behind it; or close ``stream``."""
    try:
        say, size = next(dialogue)
        while True:
            while say:
                await stream.wait_writable()
                say = say[stream.write_nowait([say]) :]
            heard = b""
            while len(heard) < size:
                await stream.wait_readable()
                data = stream.read_nowait(size - len(heard))
                if not data:
                    raise OSError(errno.ECONNRESET, "it closed the connection before it had answered")
                heard += data
            say, size = dialogue.send(heard)
    except StopIteration:
        return
    except BaseException:
        stream.close()
        raise


TCP = TcpTransport()

_ANY = {int(socket.AF_INET): "0.0.0.0", int(socket.AF_INET6): "::"}


def _bind(endpoint: Tcp, options: Options) -> tuple[socket.socket, str]:
    """Return a socket that listens at ``endpoint``, and its address."""
    family, host = _local_address(endpoint, options.ipv6)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" takes IPv4 as well; any other address means itself.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        socket_options.apply(sock, options)
        sock.bind(_os_address(family, host, endpoint.port))
        sock.listen(options.backlog)
    except BaseException:
        sock.close()
        raise
    return sock, host


def _no_delay(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _prepare(options: Options, admit: Callable[[str, Any], None], sock: socket.socket) -> str:
    address = sock.getpeername()
    peer = _endpoint_of(address)
    admit(peer, address)
    _no_delay(sock)
    socket_options.apply_to_accepted(sock, options)
    return peer


def _os_address(family: int, host: str, port: int) -> tuple[Any, ...]:
    """Return what bind() takes, which has the zone of a link-local address as a number of its own."""
    if family == socket.AF_INET6 and "%" in host:
        return socket.getaddrinfo(host, port, socket.AF_INET6, flags=socket.AI_NUMERICHOST)[0][4]
    return host, port


def _endpoint_of(address: tuple[Any, ...]) -> str:
    """Return the endpoint of an OS address. A link-local one means nothing without its zone."""
    host, port = address[:2]
    if len(address) == 4 and address[3] and "%" not in host:
        try:
            host = f"{host}%{socket.if_indextoname(address[3])}"
        except OSError:  # the interface has gone
            host = f"{host}%{address[3]}"
    return str(Tcp(host, port))


def _source_address(host: str) -> str:
    try:
        return _local_address(Tcp(host, 0))[1]
    except InvalidEndpoint:  # an interface that was there before
        raise OSError(errno.EADDRNOTAVAIL, f"{host!r} is not an interface of this machine any more") from None


def _local_address(endpoint: Tcp, ipv6: bool = False) -> tuple[int, str]:
    """Return family and address to bind: an address of this machine, ``*``, ``localhost`` or an interface."""
    host = endpoint.host
    if host == "*":
        return (socket.AF_INET6, "::") if ipv6 else (socket.AF_INET, "0.0.0.0")
    if host == "localhost":
        return socket.AF_INET, "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return socket.AF_INET, _interface_address(endpoint)
    _check_zone(endpoint)
    return (socket.AF_INET6 if address.version == 6 else socket.AF_INET), host


def _check_zone(endpoint: Tcp) -> None:
    _, separator, zone = endpoint.host.partition("%")
    if separator and not zone.isdecimal() and zone not in (names := _interfaces()):
        raise InvalidEndpoint(
            f"endpoint {str(endpoint)!r} has the zone {zone!r}, which is no interface of this machine "
            f"({', '.join(names)})"
        )


def _interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def _interface_address(endpoint: Tcp) -> str:
    name = endpoint.host
    if name in _interfaces() and sys.platform == "linux":
        import fcntl
        import struct

        siocgifaddr = 0x8915
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            answer = fcntl.ioctl(probe.fileno(), siocgifaddr, struct.pack("256s", name.encode()[:15]))
        return socket.inet_ntoa(answer[20:24])
    raise InvalidEndpoint(
        f"endpoint {str(endpoint)!r} cannot be bound: {name!r} is neither an address nor an interface of this "
        f"machine ({', '.join(_interfaces())}); bind to an address or '*', host names are for connect()"
    )
