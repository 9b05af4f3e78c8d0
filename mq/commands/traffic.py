"""How does a socket work in a shell pipe? Sends standard input, writes received messages: push, sub, router, …"""

from __future__ import annotations

import argparse
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
from attrs import define

from ..errors import Unroutable
from ..patterns.client_server import Client, Server
from ..patterns.dealer_router import Dealer, Router
from ..patterns.groups import Dish, Radio
from ..patterns.pair import Channel, Pair
from ..patterns.pipeline import Gather, Pull, Push, Scatter
from ..patterns.pubsub import Pub, Sub
from ..patterns.raw import Stream
from ..patterns.xpubxsub import XPub, XSub
from ..socket import Socket
from . import arguments, formats
from .errors import Misused, Trouble
from .formats import Format
from .opening import opened, wait_for_peers
from .standard import Input, say, while_read, write_messages

KINDS: dict[str, type[Socket]] = {
    kind.__name__.lower(): kind
    for kind in (Push, Pull, Pub, Sub, Dealer, Router, Pair, XPub, XSub, Client, Server, Radio, Dish, Scatter, Gather,
                 Channel, Stream)
}  # fmt: skip
_NAMED = (Router, Stream)
"""The types whose messages begin with a routing id of any bytes."""
_WAITING = (Pub, XPub, Radio)
"""The types that drop messages while no peer has subscribed or joined."""

_BATCH = 256
_STAY = 1.0


def add_arguments(parser: argparse.ArgumentParser, kind: type[Socket]) -> None:
    sends, receives = hasattr(kind, "send"), hasattr(kind, "receive")
    arguments.endpoints(parser)
    if issubclass(kind, (Sub, XSub)):
        parser.add_argument("--subscribe", action="append", metavar="TOPIC", help=(
            "receive messages that begin with TOPIC; may be given many times "
            f"(default: {'all messages' if issubclass(kind, Sub) else 'none'})"))  # fmt: skip
    if issubclass(kind, Dish):
        parser.add_argument("--join", action="append", metavar="GROUP",
                            help="receive messages of this group; may be given many times")  # fmt: skip
    if issubclass(kind, Radio):
        parser.add_argument("--group", metavar="GROUP",
                            help="group of all messages; without it, a line begins with a group and a tab")  # fmt: skip
    if sends:
        add_sources(parser, kind)
    if sends and receives:
        parser.add_argument("--no-input", action="store_true", help="do not read standard input, only receive")
        parser.add_argument("--stay", type=arguments.seconds, metavar="SECONDS", help=(
            "after the end of input, end when no message has arrived for so long (default 1; with --count: inf, "
            "which means no limit)"))  # fmt: skip
    parser.add_argument("-n", "--count", type=arguments.whole(1), metavar="N", help=(
        "end after N received messages" if receives else "end after N sent messages"))  # fmt: skip
    arguments.text(parser)
    arguments.socket(parser, identity=issubclass(kind, (Dealer, Router)))


def add_sources(parser: argparse.ArgumentParser, kind: type[Socket]) -> None:
    parser.add_argument("-m", "--message", action="append", metavar="TEXT", help=(
        "send TEXT, in the format of --format, instead of standard input; may be given many times"
        + ("" if hasattr(kind, "receive") else "; repeated until --count messages are sent")))  # fmt: skip
    parser.add_argument("--interval", type=arguments.seconds, default=0.0, metavar="SECONDS",
                        help="pause between messages")  # fmt: skip
    parser.add_argument("--wait", type=arguments.whole(0), default=int(issubclass(kind, _WAITING)), metavar="N", help=(
        "wait for N peers before the first message"
        + (", which must have subscribed or joined (default 1)" if issubclass(kind, _WAITING) else "")))  # fmt: skip


def form_for(kind: type[Socket], chosen: argparse.Namespace) -> Format:
    separator = arguments.separator(chosen.separator)
    named = issubclass(kind, _NAMED)
    addressed = named or (issubclass(kind, (Server, Radio)) and getattr(chosen, "group", None) is None)
    once = separator is None and addressed
    return formats.make(
        chosen.format, formats.TAB if once else separator, output=chosen.output_format, named=named, once=once
    )


async def run(kind: type[Socket], chosen: argparse.Namespace) -> None:
    form = form_for(kind, chosen)
    sends, receives = hasattr(kind, "send"), hasattr(kind, "receive")
    async with opened(kind, chosen) as socket:
        _ask_for_messages(socket, chosen)
        talk = _Talk(socket, chosen, form)
        if not receives:
            await talk.send_all(limit=chosen.count)
        elif not sends or chosen.no_input:
            await while_read(talk.receive_all)
        else:
            await talk.both()
        if talk.failed:
            raise Trouble(f"{talk.failed} {'message was' if talk.failed == 1 else 'messages were'} not sent")


def _ask_for_messages(socket: Any, chosen: argparse.Namespace) -> None:
    if isinstance(socket, (Sub, XSub)):
        everything = [""] if isinstance(socket, Sub) else []
        for topic in everything if chosen.subscribe is None else chosen.subscribe:
            if isinstance(socket, Sub):
                socket.subscribe(topic.encode())
            else:
                socket.send_nowait(b"\1" + topic.encode())
    if isinstance(socket, Dish):
        if not chosen.join:
            raise Misused("a dish receives nothing before it joins a group: give --join GROUP")
        for group in dict.fromkeys(chosen.join):
            try:
                socket.join(group.encode())
            except ValueError as error:
                raise Misused(str(error)) from None


@define(eq=False)
class _Talk:
    """Sends and receives on one socket."""

    socket: Any
    chosen: argparse.Namespace
    form: Format
    failed: int = 0
    silence: trio.CancelScope | None = None

    async def send_all(self, limit: int | None = None) -> None:
        """Send the input, at most ``limit`` messages."""
        chosen, put = self.chosen, sender_of(self.socket, self.chosen)
        if chosen.wait:
            await wait_for_peers(self.socket, chosen.wait)
        sent = 0
        batch = source_of(chosen, self.form, repeat=limit is not None)
        while messages := await batch():
            for frames in messages:
                if sent and chosen.interval:
                    await trio.sleep(chosen.interval)
                try:
                    await put(frames)
                except (Unroutable, ValueError) as error:
                    self.failed += 1
                    say(f"not sent: {error}")
                sent += 1
                if sent == limit:
                    return

    async def receive_all(self) -> None:
        """Write received messages, at most ``count``."""
        left = self.chosen.count or math.inf
        take, take_nowait = receivers_of(self.socket)
        while left:
            batch = [await take()]
            with suppress(trio.WouldBlock):
                while len(batch) < min(left, _BATCH):
                    batch.append(take_nowait())
            left -= len(batch)
            await write_messages(self.form, batch)
            if self.silence is not None:
                self.silence.deadline = trio.current_time() + self._stay

    async def both(self) -> None:
        """Send and receive at the same time. After the end of input, receive until no message arrives for ``_stay``."""

        async def receive() -> None:
            await self.receive_all()
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await self.send_all()
            if self._stay:
                await self.socket._flush(list(self.socket._pipes))
            with trio.CancelScope(deadline=trio.current_time() + self._stay) as self.silence:
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()

    @property
    def _stay(self) -> float:
        if self.chosen.stay is not None:
            return float(self.chosen.stay)
        return math.inf if self.chosen.count else _STAY


def source_of(
    chosen: argparse.Namespace, form: Format, *, repeat: bool
) -> Callable[[], Awaitable[list[list[bytes]]]]:
    """Return a function that returns the next messages to send, and none at the end.

    The messages come from the command line, or else from standard input. With ``repeat``, the messages of the command
    line repeat without end.
    """
    if chosen.message is None:
        return Input(form).batch
    try:
        given = [form.read(text.encode()) for text in chosen.message]
    except ValueError as error:
        raise Misused(f"--message: {error}") from None
    left = [given]

    async def batch() -> list[list[bytes]]:
        return given if repeat else left.pop() if left else []

    return batch


def sender_of(socket: Any, chosen: argparse.Namespace) -> Callable[[list[bytes]], Awaitable[None]]:
    """Return a function that sends frames on ``socket``, for any type."""
    if isinstance(socket, Radio):
        group = None if chosen.group is None else chosen.group.encode()

        async def send_to_group(frames: list[bytes]) -> None:
            if group is None and len(frames) < 2:
                raise ValueError("a message of a Radio begins with its group and a tab; or give --group")
            where, *body = frames if group is None else [group, *frames]
            await socket.send(where, _only(socket, body))

        return send_to_group
    if isinstance(socket, Server):

        async def send_to_number(frames: list[bytes]) -> None:
            number, *body = frames
            if not number.isdigit():
                raise ValueError(f"a message begins with the number of its peer and a tab, got {number!r}")
            await socket.send(_only(socket, body), int(number))

        return send_to_number
    if isinstance(socket, Router):

        async def send_to_name(frames: list[bytes]) -> None:
            if len(frames) < 2:
                raise ValueError("a message of a Router begins with the routing id of its peer and a tab")
            await socket.send_multipart(frames)

        return send_to_name
    if hasattr(socket, "send_multipart"):
        return socket.send_multipart  # type: ignore[no-any-return]

    async def send_one(frames: list[bytes]) -> None:
        await socket.send(_only(socket, frames))

    return send_one


def _only(socket: Socket, frames: list[bytes]) -> bytes:
    if len(frames) != 1:
        raise ValueError(f"a message of a {type(socket).__name__} has one frame, got {len(frames)}")
    return frames[0]


def receivers_of(socket: Any) -> tuple[Callable[[], Awaitable[list[bytes]]], Callable[[], list[bytes]]]:
    """Return two functions that receive frames on ``socket``, for any type: one waits, the other does not."""
    if hasattr(socket, "receive_multipart"):
        return socket.receive_multipart, socket.receive_multipart_nowait

    def frames_of(message: Any) -> list[bytes]:
        if isinstance(message, bytes):
            return [message]
        first, body = message
        return [b"%d" % first if isinstance(first, int) else first, body]

    async def take() -> list[bytes]:
        return frames_of(await socket.receive())

    return take, lambda: frames_of(socket.receive_nowait())
