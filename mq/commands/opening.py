"""How does a socket open as the command line says? Its options, its endpoints, and what is told about them."""

from __future__ import annotations

import argparse
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
    """Open a socket and its endpoints; complain at the end when something of what was sent is lost."""
    async with opened_at(kind, options(chosen), places_of(chosen), verbose=chosen.verbose) as socket:
        yield socket
    lost = sum(socket.statistics().dropped.values())
    if lost:
        reasons = "; ".join(socket.statistics().dropped)
        raise Trouble(f"{lost} {'message was' if lost == 1 else 'messages were'} dropped: {reasons}")


def places_of(chosen: argparse.Namespace) -> list[tuple[bool, str]]:
    """Return what to bind (True) and what to connect to."""
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
) -> AsyncIterator[Any]:
    """Open a socket and its endpoints, and have each of its events watched."""
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
        await socket.aclose()


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
    """Return an event as a line: its name, and what it says."""
    return " ".join([type(event).__name__, *(f"{name}={value}" for name, value in asdict(event).items())])


async def wait_for_peers(socket: Any, count: int) -> None:
    """Wait until ``count`` peers are there; for publishers, until so many have asked for something."""
    await socket.wait_connected(count)
    if isinstance(socket, Publisher) and not socket.options.invert_matching:
        await socket.wait_subscribed(None, count)
    elif isinstance(socket, Radio):
        await socket.wait_joined(None, count)
