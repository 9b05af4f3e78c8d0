"""How do bytes travel over TCP? IPv4 and IPv6, wildcard addresses and ports, host names when connecting."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import sys
from functools import partial

import trio

from ..endpoint import Tcp
from ..errors import InvalidEndpoint
from ..options import Options
from . import socket_options, sockets


class TcpTransport:
    """The scheme ``tcp``."""

    def listen(self, endpoint: Tcp, options: Options) -> sockets.SocketListener:
        if endpoint.source is not None:
            raise InvalidEndpoint(f"endpoint {str(endpoint)!r} names a source, which only connect() has")
        sock: socket.socket | None = None
        try:
            family, host = _local_address(endpoint)
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # "::" takes IPv4 as well; any other address means itself.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
            socket_options.apply(sock, options)
            sock.bind((host, endpoint.port))
            sock.listen(options.backlog)
        except OSError as error:
            if sock is not None:
                sock.close()
            raise sockets.bind_error(endpoint, error) from None
        return sockets.SocketListener(sock, str(Tcp(host, sock.getsockname()[1])), partial(_prepare, options))

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
        self, endpoint: Tcp, family: int, address: tuple[object, ...], options: Options
    ) -> sockets.SocketStream:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            socket_options.apply(sock, options)
            if endpoint.source is not None:
                host, port = endpoint.source
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((_ANY[family] if host == "*" else _source_address(host), port))
            _no_delay(sock)
        except BaseException:
            sock.close()
            raise
        stream = await sockets.connect(sock, address, str(Tcp(str(address[0]), int(str(address[1])))))
        if sock.getsockname() == sock.getpeername():
            # Connecting to a free port of this machine from that same port meets itself.
            stream.close()
            raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens there, the socket met itself")
        return stream


TCP = TcpTransport()

_ANY = {int(socket.AF_INET): "0.0.0.0", int(socket.AF_INET6): "::"}


def _no_delay(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _prepare(options: Options, sock: socket.socket) -> str:
    _no_delay(sock)
    socket_options.apply_to_accepted(sock, options)
    host, port = sock.getpeername()[:2]
    return str(Tcp(host, port))


def _source_address(host: str) -> str:
    try:
        return _local_address(Tcp(host, 0))[1]
    except InvalidEndpoint:  # an interface that was there before
        raise OSError(errno.EADDRNOTAVAIL, f"{host!r} is not an interface of this machine any more") from None


def _local_address(endpoint: Tcp) -> tuple[int, str]:
    """Return family and address to bind: an address of this machine, ``*``, ``localhost`` or an interface."""
    host = endpoint.host
    if host == "*":
        return socket.AF_INET, "0.0.0.0"
    if host == "localhost":
        return socket.AF_INET, "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return socket.AF_INET, _interface_address(endpoint)
    return (socket.AF_INET6 if address.version == 6 else socket.AF_INET), host


def _interface_address(endpoint: Tcp) -> str:
    name = endpoint.host
    if name in {each for _, each in socket.if_nameindex()} and sys.platform == "linux":
        import fcntl
        import struct

        siocgifaddr = 0x8915
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            answer = fcntl.ioctl(probe.fileno(), siocgifaddr, struct.pack("256s", name.encode()[:15]))
        return socket.inet_ntoa(answer[20:24])
    known = ", ".join(each for _, each in socket.if_nameindex())
    raise InvalidEndpoint(
        f"endpoint {str(endpoint)!r} cannot be bound: {name!r} is neither an address nor an interface of this "
        f"machine ({known}); bind to an address or '*', host names are for connect()"
    )
