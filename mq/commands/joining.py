"""How are two sockets joined in a shell? By the command proxy."""

from __future__ import annotations

import argparse
from contextlib import AsyncExitStack
from typing import Any

from attrs import fields_dict

from ..options import Options
from ..patterns.pair import Pair
from ..patterns.pipeline import Pull, Push
from ..patterns.pubsub import Pub, Sub
from ..patterns.reqrep import Rep
from ..patterns.xpubxsub import XSub
from ..proxy import proxy
from ..socket import Socket
from . import arguments
from .errors import Misused
from .opening import opened_at
from .traffic import KINDS

_CAPTURES: dict[str, type[Socket]] = {"pub": Pub, "push": Push, "pair": Pair}
_CONTROLS: dict[str, type[Socket]] = {"rep": Rep, "pair": Pair, "pull": Pull}


def add_proxy(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(sorted(KINDS))
    for side in ("frontend", "backend"):
        parser.add_argument(f"{side}_type", metavar=f"{side.upper()}-TYPE", choices=KINDS, type=str.lower,
                            help=f"one of {names}" if side == "frontend" else "one of the same types")  # fmt: skip
        parser.add_argument(f"{side}_endpoints", metavar="ENDPOINT",
                            help="@tcp://*:5559 binds, tcp://host:5559 connects; commas separate several")  # fmt: skip
    for name, kinds, does in (
        ("capture", _CAPTURES, "send a copy of every message to this endpoint"),
        ("control", _CONTROLS, "receive PAUSE, RESUME, STATISTICS and TERMINATE at this endpoint"),
    ):
        parser.add_argument(f"--{name}", metavar="ENDPOINT", help=does)
        parser.add_argument(f"--{name}-type", choices=kinds, default=next(iter(kinds)), help="default: %(default)s")
    arguments.socket(parser)


async def run_proxy(chosen: argparse.Namespace) -> None:
    """Pass messages on until the control receives TERMINATE, or the process receives a signal."""
    options = arguments.options(chosen)
    sides = [KINDS[chosen.frontend_type], KINDS[chosen.backend_type]]
    for name in options:
        if not any(_is_for(name, kind) for kind in sides):
            raise Misused(f"neither a {sides[0].__name__} nor a {sides[1].__name__} has the option {name!r}")
    async with AsyncExitStack() as stack:

        async def opened(kind: type[Socket], endpoints: str) -> Any:
            places = [arguments.split_endpoint(each) for each in endpoints.split(",") if each]
            if not places:
                raise Misused(f"the {kind.__name__} of the proxy has no endpoint")
            given = {name: value for name, value in options.items() if _is_for(name, kind)}
            return await stack.enter_async_context(opened_at(kind, given, places, verbose=chosen.verbose))

        frontend = await opened(sides[0], chosen.frontend_endpoints)
        backend = await opened(sides[1], chosen.backend_endpoints)
        capture = control = None
        if chosen.capture is not None:
            capture = await opened(_CAPTURES[chosen.capture_type], chosen.capture)
        if chosen.control is not None:
            control = await opened(_CONTROLS[chosen.control_type], chosen.control)
        for source in (frontend, backend):
            _subscribe(source, xsub=not hasattr(frontend, "receive") or not hasattr(backend, "receive"))
        try:
            await proxy(frontend, backend, capture, control)
        except (TypeError, ValueError) as error:
            raise Misused(str(error)) from None


def _is_for(option: str, kind: type[Socket]) -> bool:
    types = fields_dict(Options)[option].metadata["types"]
    return not types or kind.socket_type in types


def _subscribe(source: Any, *, xsub: bool) -> None:
    """Subscribe to all messages if no peer can do so through the proxy.

    This is the case for a SUB, and for an XSUB if ``xsub`` says that the opposite socket receives no subscriptions.
    """
    if isinstance(source, Sub):
        source.subscribe(b"")
    elif isinstance(source, XSub) and xsub:
        source.send_nowait(b"\1")
