"""How is an endpoint kept connected? Attempts with growing pauses, for as long as the socket wants it."""

from __future__ import annotations

import trio

from ..endpoint import Endpoint
from ..monitor import ConnectDelayed, Connected, ConnectRetried
from ..pipe import Pipe
from ..transports import TRANSPORTS, Rounds, Stream
from . import session
from .backoff import pause
from .owner import Owner


async def dial(owner: Owner, endpoint: Endpoint, pipe: Pipe) -> None:
    """Connect ``pipe`` to ``endpoint`` again and again; return only when the options forbid to reconnect."""
    options = owner.options
    rounds = Rounds()
    failures = 0
    while True:
        end = await _attempt(owner, endpoint, pipe, rounds)
        if end == "disconnect":
            failures = 0
            rounds.forget()
        if options.gives_up_after(end) or (pipe.parting and not pipe.unsent):
            return
        delay = pause(options, failures)
        failures += 1
        owner.report(ConnectRetried(endpoint=pipe.endpoint, delay=delay))
        await trio.sleep(delay)


async def _attempt(owner: Owner, endpoint: Endpoint, pipe: Pipe, rounds: Rounds) -> str:
    """Connect and carry messages until that ends; return one of `RECONNECT_ENDS`, or "" for what may yet pass."""
    transport = TRANSPORTS[endpoint.scheme]
    patience = owner.options.connect_timeout
    stream: Stream | None = None
    end = ""
    reason = f"no answer within {patience:g} s"
    try:
        with trio.move_on_after(patience):
            stream = await transport.connect(endpoint, owner.options, rounds)
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, _NOBODY_LISTENS):
            end = "refused"
    if stream is None:
        owner.report(ConnectDelayed(endpoint=pipe.endpoint, reason=reason))
        return end
    owner.report(Connected(endpoint=pipe.endpoint, peer=stream.peer))
    return "disconnect" if await session.hold(owner, pipe.endpoint, stream, pipe) else "handshake"


_NOBODY_LISTENS = (ConnectionRefusedError, FileNotFoundError)
