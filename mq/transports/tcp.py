"""How do bytes travel over TCP? IPv4 and IPv6, with wildcard addresses and ports, host names, and a SOCKS proxy."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import evolve

from ..endpoint import Tcp, parse
from ..errors import InvalidEndpoint
from ..options import Options
from . import local, names, racing, socket_options, sockets, socks
from .admission import by_address
from .rounds import Address, Rounds


class TcpTransport:
    """The scheme ``tcp``."""

    def listen(self, endpoint: Tcp, options: Options) -> sockets.SocketListener:
        if endpoint.source is not None:
            raise InvalidEndpoint(f"endpoint {endpoint.text!r} has a source address, which is only for connect()")
        prepare = partial(_prepare, options, by_address(options))
        try:
            if options.use_fd is not None:
                sock = sockets.adopt(options, (socket.AF_INET, socket.AF_INET6))
                return sockets.SocketListener(sock, _endpoint_of(sock.getsockname()), prepare)
            sock, host = _bind(endpoint, options)
        except OSError as error:
            raise sockets.bind_error(endpoint.text, error) from None
        return sockets.SocketListener(sock, str(Tcp(host, sock.getsockname()[1])), prepare)

    def check(self, endpoint: Tcp, options: Options) -> None:
        if endpoint.host == "*" or endpoint.port == 0:
            raise InvalidEndpoint(
                f"endpoint {endpoint.text!r} cannot be connected to: a wildcard is only for bind(); use one host and "
                "one port, such as the endpoint that bind() returns"
            )
        reason = names.why_no_host(endpoint.host)
        if reason is not None:
            raise InvalidEndpoint(f"endpoint {endpoint.text!r} has the invalid host {endpoint.host!r}: {reason}")
        source = "" if endpoint.source is None else endpoint.source[0]
        if options.bind_to_device is None:
            local.check_link_local(source, endpoint.text)
            if options.socks_proxy is None and "%" not in source:
                local.check_link_local(endpoint.host, endpoint.text)
        if source:
            with contextlib.suppress(OSError):  # an interface may be down now, and up later
                local.address(source, endpoint.text)

    async def connect(self, endpoint: Tcp, options: Options, rounds: Rounds) -> sockets.SocketStream:
        if options.socks_proxy is None:
            return await self._connect_directly(endpoint, options, rounds)
        proxy = parse(f"tcp://{options.socks_proxy}")
        assert isinstance(proxy, Tcp)
        try:
            stream = await self._connect_directly(
                evolve(proxy, source=endpoint.source or proxy.source), options, rounds
            )
            stream.peer = str(Tcp(endpoint.host, endpoint.port))
            host = names.encoded(endpoint.host).decode()
            await _converse(
                stream, socks.dialogue(host, endpoint.port, options.socks_username, options.socks_password)
            )
        except OSError as error:
            raise OSError(error.errno, f"SOCKS proxy {options.socks_proxy}: {error.strerror or error}") from None
        return stream

    async def _connect_directly(
        self, endpoint: Tcp, options: Options, rounds: Rounds
    ) -> sockets.SocketStream:
        addresses = await names.look_up(endpoint.host, endpoint.port)
        return await racing.first(addresses, partial(_connect_to, endpoint.source, options), rounds)


async def _connect_to(
    source: tuple[str, int] | None, options: Options, target: Address
) -> sockets.SocketStream:
    family, address = target
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        socket_options.apply(sock, options)
        if source is not None:
            host, port = source
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(_os_address(family, _ANY[family] if host == "*" else _source_address(host), port))
        _no_delay(sock)
    except BaseException:
        sock.close()
        raise
    stream = await sockets.connect(sock, address, _endpoint_of(address))
    if sock.getsockname() == sock.getpeername():
        # The kernel chose the target as source port, and TCP allows such a connection of a socket to itself.
        stream.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, "no process listens there, and the socket reached itself")
    return stream


async def _converse(stream: sockets.SocketStream, dialogue: socks.Dialogue) -> None:
    """Run ``dialogue`` on ``stream``, and read no byte after its end. If it fails, close ``stream``."""
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
                    raise OSError(errno.ECONNRESET, "it closed the connection before its answer")
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
    if options.bind_to_device is None:
        local.check_link_local(endpoint.host, endpoint.text)
    family, host = local.address(endpoint.host, endpoint.text, ipv6=options.ipv6)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" accepts IPv4 peers too. Any other address stands for itself only.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        socket_options.apply(sock, options)
        sock.bind(_os_address(family, host, endpoint.port))
        sock.listen(min(options.backlog, socket_options.LARGEST))
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
    """Return the address for bind(), which has the zone of a link-local address as a separate number."""
    if family == socket.AF_INET6 and "%" in host:
        return socket.getaddrinfo(host, port, socket.AF_INET6, flags=socket.AI_NUMERICHOST)[0][4]
    return host, port


def _endpoint_of(address: tuple[Any, ...]) -> str:
    """Return the endpoint of an OS address. A link-local address is useless without its zone, so the zone is added."""
    host, port = address[:2]
    if len(address) == 4 and address[3] and "%" not in host:
        try:
            host = f"{host}%{socket.if_indextoname(address[3])}"
        except OSError:  # the interface no longer exists
            host = f"{host}%{address[3]}"
    return str(Tcp(host, port))


def _source_address(host: str) -> str:
    try:
        return local.address(host, host)[1]
    except InvalidEndpoint:  # the interface existed when connect() was called
        raise OSError(errno.EADDRNOTAVAIL, f"{host!r} is no longer an interface of this machine") from None
