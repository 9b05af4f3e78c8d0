"""What happens on a connection, from its first byte to its last? What dialer and listener share."""

from __future__ import annotations

import trio

from ..errors import PeerError
from ..monitor import Disconnected, HandshakeFailed, Handshaken
from ..pipe import Pipe, ignored
from ..protocols.zmtp import Connection, Conversation, RawConnection
from ..transports import Stream
from . import heartbeat
from .owner import Owner
from .reading import Early
from .stream import StreamLink, handshake


@trio.lowlevel.enable_ki_protection
async def hold(owner: Owner, endpoint: str, stream: Stream, pipe: Pipe | None = None) -> bool:
    """Shake hands on ``stream`` and carry messages until it ends. Return whether the handshake was completed.

    ``pipe`` is that of a connecting endpoint; an accepted connection gets its own.
    """
    connection = _begin(owner, accepted=pipe is None)
    try:
        failure = await _meet(owner, endpoint, stream, connection, pipe or owner.make_pipe(endpoint, False))
        if failure:
            owner.report(HandshakeFailed(endpoint=endpoint, peer=stream.peer, reason=failure))
        return not failure
    finally:
        stream.close()


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


async def _meet(owner: Owner, endpoint: str, stream: Stream, connection: Conversation, pipe: Pipe) -> str | None:
    """Run the whole session. Return why the handshake failed, or None when it did not."""
    early = await _agree(owner, stream, connection, pipe)
    peer = connection.peer
    if isinstance(early, str):
        return early
    assert peer is not None
    pipe.peer = stream.peer
    pipe.trusted = peer.exact
    pipe.wired = owner.fans_out and connection.share()
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
    reason = "the socket closed"
    link = StreamLink(stream, connection, pipe, owner.options)
    pipe.hang_up = link.reader.end
    owner.connected(pipe)
    try:
        async with trio.open_nursery() as nursery:
            heartbeat.begin(link, pipe, owner.options, nursery)
            reason = await link.run(early, nursery)
            nursery.cancel_scope.cancel()
    finally:
        link.writer.put_back()
        pipe.hang_up = ignored
        owner.lost(pipe, reason)
        owner.report(Disconnected(endpoint=endpoint, peer=pipe.peer, reason=reason))
    return None


async def _agree(owner: Owner, stream: Stream, connection: Conversation, pipe: Pipe) -> Early | str:
    """Shake hands. Return what came in the same bytes as the end of that, or why it failed."""
    # Before we say that we are ready: a peer that believes itself connected would send, and lose what it sent.
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
            return f"{error.strerror or error}{half}"
    if scope.cancelled_caught:
        return f"no complete handshake within {patience:g} s: {connection.unfinished}"
    pipe.identity = peer.identity
    refusal = owner.refuse(pipe)
    if refusal:  # without a word: after an ERROR, libzmq would never come back
        return refusal
    connection.accept()
    return early
