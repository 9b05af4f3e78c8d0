"""How does a command open its socket? Sets options, opens endpoints, and reports events and dropped messages."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import asdict

from ..errors import InvalidEndpoint
from ..monitor import Event
from ..patterns.groups import Radio
from ..patterns.pubsub import Publisher
from ..socket import Socket
from .arguments import options, split_endpoint
from .errors import Misused, Trouble
from .standard import say


@asynccontextmanager
async def opened(kind: type[Socket], chosen: argparse.Namespace) -> AsyncIterator[Any]:
    """Open a socket and its endpoints. Raises `Trouble` at the end if the socket dropped messages."""
    async with opened_at(kind, options(chosen), places_of(chosen), verbose=chosen.verbose, tell=_trouble) as socket:
        yield socket


def _trouble(lost: str) -> None:
    raise Trouble(lost)


def places_of(chosen: argparse.Namespace) -> list[tuple[bool, str]]:
    """Return the endpoints, each with True to bind or False to connect."""
    places = [(True, each) for each in chosen.bind] + [(False, each) for each in chosen.connect]
    places += map(split_endpoint, chosen.endpoints)
    if not places:
        raise Misused("give an endpoint: --connect tcp://HOST:PORT, or --bind 'tcp://*:PORT'")
    return places


@asynccontextmanager
async def opened_at(
    kind: type[Socket],
    given: dict[str, Any],
    places: list[tuple[bool, str]],
    *,
    verbose: bool,
    watch: Callable[[Event], Awaitable[None]] | None = None,
    tell: Callable[[str], None] = say,
) -> AsyncIterator[Any]:
    """Open a socket and its endpoints. Calls ``watch`` with each event, and ``tell`` at the end with `losses_of`."""
    try:
        socket = kind(**given)
    except (TypeError, ValueError) as error:
        raise Misused(str(error)) from None
    async with socket, trio.open_nursery() as nursery:
        if verbose and watch is None:
            watch = _tell
        if watch is not None:
            await nursery.start(_watch, socket, watch)
        for bind, endpoint in places:
            attach(socket, bind, endpoint, verbose=verbose)
        yield socket
        socket._losses.quiet = True  # reported below instead, once, with the flags of the command line
        try:
            await socket.aclose()
        except trio.Cancelled:
            tell = say
            raise
        finally:
            lost = losses_of(socket)
            if lost:
                tell(lost)


def losses_of(socket: Socket) -> str:
    """Return how many messages ``socket`` dropped, for which peers and why; "" if none."""
    dropped, left = Counter(socket.statistics().dropped), socket._losses.left
    total = dropped.total()
    if not total:
        return ""
    causes: dict[str, list[str]] = {}
    for (receiver, cause, reason), count in left.items():
        causes.setdefault(cause, []).append(f"{count} for {receiver}")
        dropped[reason] -= count
    advice = " (--linger sets how long to wait)" if socket._losses.advice else ""
    said = [f"{cause}{advice}: {', '.join(receivers)}" for cause, receivers in causes.items()]
    said += [f"{reason}: {count}" for reason, count in (+dropped).items()]
    return f"{total} {'message was' if total == 1 else 'messages were'} dropped: {'; '.join(said)}"


def attach(socket: Socket, bind: bool, endpoint: str, *, verbose: bool) -> None:
    try:
        if not bind:
            socket.connect(endpoint)
            return
        bound = socket.bind(endpoint)
    except (InvalidEndpoint, OSError) as error:
        raise Misused(str(error)) from None
    if verbose or bound != endpoint:
        say(f"bound {bound}")


async def _watch(
    socket: Socket, watch: Callable[[Event], Awaitable[None]], task_status: trio.TaskStatus[None]
) -> None:
    async with socket.monitor() as events:
        task_status.started()
        async for event in events:
            await watch(event)


async def _tell(event: Event) -> None:
    say(line_of(event))


def line_of(event: Event) -> str:
    """Return an event as a line: its name and its fields."""
    return " ".join([type(event).__name__, *(f"{name}={value}" for name, value in asdict(event).items())])


async def wait_for_peers(socket: Any, count: int) -> None:
    """Wait until ``count`` peers are connected; for publishers, until ``count`` peers have subscribed or joined."""
    await socket.wait_connected(count)
    if isinstance(socket, Publisher) and not socket.options.invert_matching:
        await socket.wait_subscribed(None, count)
    elif isinstance(socket, Radio):
        await socket.wait_joined(None, count)
