"""How is an endpoint kept connected? The dialer connects again, after growing pauses, until it is cancelled."""

from __future__ import annotations

import trio

from ..endpoint import Endpoint
from ..monitor import ConnectDelayed, Connected, ConnectRetried
from ..pipe import Pipe
from ..transports import PASSING, TRANSPORTS, Rounds, Stream, first_of, is_shortage, reason_of
from . import session
from .backoff import Backoff
from .notice import Notice
from .owner import Owner


async def dial(owner: Owner, endpoint: Endpoint, pipe: Pipe) -> None:
    """Connect ``pipe`` to ``endpoint``, again after each connection, until the dialer has nothing more to do.

    Return when the options forbid another attempt, or when the pipe is to end in order and nothing waits to be sent.
    """
    rounds = Rounds()
    backoff = Backoff(owner, pipe)
    notice = Notice(owner.warn)
    while True:
        end = ""
        stream, trouble = await _connect(owner, endpoint, pipe, rounds)
        if stream is not None:
            notice.over()
            backoff.begin()
            completed, reason = await session.hold(owner, pipe.endpoint, stream, pipe)
            end = "disconnect" if completed else "handshake"
            backoff.end(reason, completed=completed)
            if completed:
                rounds.forget()
        elif isinstance(trouble, _NOBODY_LISTENS):
            end = "refused"
        elif trouble is not None and is_shortage(trouble):
            notice.say(f"{pipe.endpoint}: cannot connect for now: {reason_of(trouble)}")
        if owner.options.gives_up_after(end) or (pipe.parting and not pipe.unsent):
            return
        delay = backoff.pause()
        owner.report(ConnectRetried(endpoint=pipe.endpoint, delay=delay))
        await trio.sleep(delay)


async def _connect(
    owner: Owner, endpoint: Endpoint, pipe: Pipe, rounds: Rounds
) -> tuple[Stream | None, BaseException | None]:
    """Make one attempt. Return the stream, or None and the error. After a timeout, the error is None too."""
    patience = owner.options.connect_timeout
    stream: Stream | None = None
    trouble: BaseException | None = None
    try:
        with trio.move_on_after(patience):
            stream = await TRANSPORTS[endpoint.scheme].connect(endpoint, owner.options, rounds)
    except* PASSING as several:
        trouble = first_of(several)
    if stream is None:
        reason = f"no answer within {patience:g} s" if trouble is None else reason_of(trouble)
        owner.report(ConnectDelayed(endpoint=pipe.endpoint, reason=reason))
    else:
        owner.report(Connected(endpoint=pipe.endpoint, peer=stream.peer))
    return stream, trouble


_NOBODY_LISTENS = (ConnectionRefusedError, FileNotFoundError)
