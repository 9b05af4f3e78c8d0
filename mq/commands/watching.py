"""How are the events of a socket shown in a shell? By the command monitor."""

from __future__ import annotations

import argparse
import json
import math

import trio
from attrs import asdict

from ..monitor import Event
from ..patterns.client_server import Peer
from ..patterns.reqrep import Rep, Req
from . import arguments
from .opening import line_of, opened_at, places_of
from .standard import while_read, write
from .traffic import KINDS

_WATCHED = KINDS | {kind.__name__.lower(): kind for kind in (Req, Rep, Peer)}


def add_monitor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", choices=_WATCHED, type=str.lower, metavar="TYPE",
                        help=f"type of the socket: {', '.join(sorted(_WATCHED))}")  # fmt: skip
    arguments.endpoints(parser)
    parser.add_argument("-n", "--count", type=arguments.whole(1), metavar="N", help="end after N events")
    parser.add_argument("-f", "--format", choices=("lines", "json"), default="lines",
                        help="write an event as a line of text, or as a line with a JSON object")  # fmt: skip
    arguments.socket(parser)


async def monitor(chosen: argparse.Namespace) -> None:
    """Write the events of a socket. The command neither sends nor receives messages."""
    left = chosen.count or math.inf
    enough = trio.Event()

    async def show(event: Event) -> None:
        nonlocal left
        if left:
            await write(_shown(event, chosen.format))
            left -= 1
        if not left:
            enough.set()

    places = places_of(chosen)
    async with opened_at(_WATCHED[chosen.type], arguments.options(chosen), places, verbose=chosen.verbose, watch=show):
        await while_read(enough.wait)


def _shown(event: Event, form: str) -> bytes:
    if form == "lines":
        return line_of(event).encode() + b"\n"
    return json.dumps({"event": type(event).__name__, **asdict(event)}).encode() + b"\n"
