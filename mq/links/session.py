"""What happens on a connection, from its first byte to its last? A handshake, messages, and an orderly end.

The dialer and the listener share this code.
"""

from __future__ import annotations

import trio

from ..errors import PeerError
from ..monitor import Disconnected, HandshakeFailed, Handshaken
from ..pipe import Pipe, ignored, no
from ..protocols.zmtp import Connection, Conversation, RawConnection
from ..transports import PASSING, Stream, first_of, reason_of
from . import heartbeat
from .owner import Owner
from .reading import Early
from .stream import StreamLink, handshake


@trio.lowlevel.enable_ki_protection
async def hold(owner: Owner, endpoint: str, stream: Stream, pipe: Pipe | None = None) -> tuple[bool, str]:
    """Make the handshake on ``stream``, and carry messages until the connection ends.

    Return whether the handshake was completed, and why the connection ended. A connecting endpoint passes its ``pipe``.
    An accepted connection gets a new one.
    """
    completed = False
    try:
        connection = _begin(owner, accepted=pipe is None)
        pipe = pipe or owner.make_pipe(endpoint, False)
        early = await _agree(owner, stream, connection, pipe)
        if isinstance(early, str):
            reason = early
        else:
            completed = True
            reason = await _meet(owner, endpoint, stream, connection, pipe, early)
    except MemoryError as error:
        reason = reason_of(error)
    finally:
        stream.close()
    if not completed:
        owner.report(HandshakeFailed(endpoint=endpoint, peer=stream.peer, reason=reason))
    return completed, reason


def _begin(owner: Owner, *, accepted: bool) -> Conversation:
    options = owner.options
    if owner.socket_type == "STREAM":
        return RawConnection()
    return Connection(
        owner.socket_type,
        identity=options.routing_id,
        metadata=options.metadata,
        max_message_size=options.max_message_size,
        chooses=owner.chooses and accepted,
        exact=owner.exact,
    )


async def _meet(
    owner: Owner, endpoint: str, stream: Stream, connection: Conversation, pipe: Pipe, early: Early
) -> str:
    """After the handshake, carry messages until the connection ends. Return why it ended."""
    peer = connection.peer
    assert peer is not None
    pipe.peer = stream.peer
    if not pipe.connecting:
        pipe.origin = pipe.identity or stream.peer.rpartition(":")[0] or stream.peer  # without the TCP port
    pipe.trusted = peer.exact
    pipe.shares = owner.fans_out and connection.share()
    owner.report(
        Handshaken(
            endpoint=endpoint,
            peer=pipe.peer,
            socket_type=peer.socket_type,
            version=peer.version,
            mechanism=peer.mechanism,
            metadata=peer.metadata,
        )
    )
    link = StreamLink(stream, connection, pipe, owner.options)
    reason = "the socket closed"
    try:
        reason = await _carry(owner, stream, link, pipe, early)
    finally:
        owner.report(Disconnected(endpoint=endpoint, peer=pipe.peer, reason=reason))
        if pipe.progress is not None:
            pipe.progress()
    return reason


async def _carry(owner: Owner, stream: Stream, link: StreamLink, pipe: Pipe, early: Early) -> str:
    """Carry messages until the connection ends. If it ends in order, also flush and drain. Return why it ended."""
    reason = "the socket closed"
    begun = flushed = False
    half_written = 0
    sent_before = pipe.messages_out
    pipe.held, pipe.leave, pipe.hang_up = True, link.reader.end, link.end
    pipe.has_ended = stream.has_ended
    owner.connected(pipe)
    if pipe.parting and not pipe.withheld:
        pipe.leave(pipe.parting)
    try:
        with link.orderly_end:
            try:
                reason = await _run(owner, link, pipe, early)
                if pipe.parting or (pipe.unsent and link.connection.half_open):
                    begun = True
                    flushed = await link.flush()
            finally:
                pipe.leave, pipe.has_ended = ignored, no
                half_written = link.writer.put_back()
                owner.lost(pipe, reason)
            if flushed and pipe.messages_out > sent_before and owner.socket_type not in _SEND_REQUESTS:
                await link.drain()
    finally:
        pipe.held, pipe.hang_up = False, ignored
        # If acknowledgements come from the process, the count includes overhead of the kernel. After a flush that
        # failed, the bytes of an incomplete message could not be subtracted from that count.
        if begun and (flushed or not stream.acknowledges_for_process):
            owner.unacknowledged(pipe, (stream.unacknowledged() or 0) - half_written, "the connection broke")
    return reason


async def _run(owner: Owner, link: StreamLink, pipe: Pipe, early: Early) -> str:
    """Run the tasks of a connection. A shortage in a task ends only this connection. Return why it ended."""
    reason = ""
    try:
        async with trio.open_nursery() as nursery:
            heartbeat.begin(link, pipe, owner.options, nursery)
            reason = await link.run(early, nursery)
            nursery.cancel_scope.cancel()
    except* PASSING as several:
        reason = reason_of(first_of(several))
    return reason


_SEND_REQUESTS = ("SUB", "DISH")
"""Types that send only subscriptions or groups. No peer needs them after the connection has ended."""


async def _agree(owner: Owner, stream: Stream, connection: Conversation, pipe: Pipe) -> Early | str:
    """Make the handshake. Return the messages that came with its last bytes, or the reason why it failed."""
    # Refuse before READY is sent: a peer that has received READY would send messages, and lose them.
    refusal = owner.refuse(pipe)
    if refusal:
        return refusal
    patience = owner.options.handshake_timeout
    with trio.move_on_after(patience) as scope:
        try:
            peer, early = await handshake(stream, connection, pipe, owner.options.read_size)
        except PeerError as error:
            return str(error)
        except OSError as error:
            half = f"; {connection.unfinished}" if connection.unfinished else ""
            return f"{reason_of(error)}{half}"
    if scope.cancelled_caught:
        return f"no complete handshake within {patience:g} s: {connection.unfinished}"
    pipe.identity = peer.identity
    refusal = owner.refuse(pipe)
    if refusal:  # no ERROR is sent: libzmq does not reconnect after an ERROR
        return refusal
    connection.accept()
    return early
