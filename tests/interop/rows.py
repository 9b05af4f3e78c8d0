"""What do two sockets say to each other? A row for each pair of types, one side ours, the other libzmq's."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import trio
import zmq
from attrs import frozen

import mq

from .libzmq import Libzmq, libzmq

_MIB = random.Random(1).randbytes(1024 * 1024)

MESSAGES = [
    [b"hello"],
    [b""],
    [b"", b""],
    [b"a", b"", b"c"],
    [_MIB[:255]],
    [_MIB[:256]],
    [b"%d" % part for part in range(300)],
    [b"", _MIB, b"", _MIB[:65536], b""],
    [_MIB],
]

TOPIC = b"topic"

_THEIR_OPTIONS: dict[str, dict[str, int | bytes]] = {
    "ROUTER": {"ROUTER_MANDATORY": 1},
    # Else they would linger for the subscriptions that they mean to repeat when we come back.
    "SUB": {"LINGER": 0},
    "XSUB": {"LINGER": 0},
}
_ENVELOPES = {
    ("ROUTER", "REQ"): ("identity", b""),
    ("ROUTER", "DEALER"): ("identity",),
    ("ROUTER", "ROUTER"): ("identity",),
    ("DEALER", "REP"): (b"",),
}
"""What stands before the body in a message that the first type sends to, or receives from, the second."""

_WAIT_FOR_PEERS = ("PAIR", "PUSH", "REQ", "DEALER", "ROUTER")

Say = Callable[..., Awaitable[Any]]
Conversation = Callable[["Row", Any, Libzmq], Awaitable[None]]


@frozen
class Row:
    """Our socket type, libzmq's, and what they say."""

    ours: str
    theirs: str
    talk: Conversation

    def __str__(self) -> str:
        return f"{self.ours}-{self.theirs}"

    def open_ours(self, **options: Any) -> Any:
        kinds: dict[str, type[mq.Socket]] = {kind.socket_type: kind for kind in _KINDS}
        identity = {"routing_id": b"ours"} if self.theirs == "ROUTER" else {}
        return kinds[self.ours](**identity, **options)

    def open_theirs(self, library: Any = zmq, **options: int | bytes) -> AbstractAsyncContextManager[Libzmq]:
        identity = {"ROUTING_ID": b"theirs"} if self.ours == "ROUTER" else {}
        own = {**identity, **_THEIR_OPTIONS.get(self.theirs, {}), **options}
        return libzmq(getattr(zmq, self.theirs), library, **own)

    async def begin_ours(self, ours: Any) -> None:
        """What our socket says once in its life, whoever comes."""
        if self.ours == "SUB":
            ours.subscribe(TOPIC)
        elif self.ours == "XSUB":
            await ours.send(b"\1" + TOPIC)

    async def begin_theirs(self, theirs: Libzmq) -> None:
        """What libzmq's socket says once in its life, whoever comes."""
        if self.theirs == "SUB":
            theirs.set("SUBSCRIBE", TOPIC)
        elif self.theirs == "XSUB":
            await theirs.send([b"\1" + TOPIC])

    async def lonely(self, ours: Any, theirs: Libzmq, stays: str) -> None:
        """Wait until the side that ``stays`` knows that the other is gone."""
        if stays == "ours":
            while any(peer.connected for peer in ours.statistics().peers):
                await trio.lowlevel.checkpoint()
        elif self.theirs in _WAIT_FOR_PEERS:
            await theirs.deserted()
        elif self.theirs == "XPUB":
            assert await theirs.receive() == [[b"\0" + TOPIC]]

    def ours_to_theirs(self, body: list[bytes]) -> list[bytes]:
        """The message of ours that has ``body``, as our socket sends or receives it."""
        return [*_envelope(self.ours, self.theirs, b"theirs"), *body]

    def theirs_to_ours(self, body: list[bytes]) -> list[bytes]:
        """The same, as libzmq's socket sends or receives it."""
        return [*_envelope(self.theirs, self.ours, b"ours"), *body]


def _envelope(sender: str, receiver: str, identity: bytes) -> list[bytes]:
    parts = _ENVELOPES.get((sender, receiver), ())
    return [identity if isinstance(part, str) else part for part in parts]


async def _tell(row: Row, ours: Any, theirs: Libzmq) -> None:
    for body in MESSAGES:
        await ours.send_multipart(row.ours_to_theirs(body))
    assert await theirs.receive(len(MESSAGES)) == [row.theirs_to_ours(body) for body in MESSAGES]


async def _hear(row: Row, ours: Any, theirs: Libzmq) -> None:
    await theirs.send(*(row.theirs_to_ours(body) for body in MESSAGES))
    for body in MESSAGES:
        assert await ours.receive_multipart() == row.ours_to_theirs(body)


async def _both(row: Row, ours: Any, theirs: Libzmq) -> None:
    await _tell(row, ours, theirs)
    await _hear(row, ours, theirs)


async def _ask(row: Row, ours: Any, theirs: Libzmq) -> None:
    for body in MESSAGES:
        await ours.send_multipart(row.ours_to_theirs(body))
        assert await theirs.receive() == [row.theirs_to_ours(body)]
        await theirs.send(row.theirs_to_ours(body[::-1]))
        assert await ours.receive_multipart() == row.ours_to_theirs(body[::-1])


async def _answer(row: Row, ours: Any, theirs: Libzmq) -> None:
    for body in MESSAGES:
        await theirs.send(row.theirs_to_ours(body))
        assert await ours.receive_multipart() == row.ours_to_theirs(body)
        await ours.send_multipart(row.ours_to_theirs(body[::-1]))
        assert await theirs.receive() == [row.theirs_to_ours(body[::-1])]


def _about(topic: bytes, body: list[bytes]) -> list[bytes]:
    return [topic + body[0], *body[1:]]


_NEWS = [_about(TOPIC, body) for body in MESSAGES]
_NOISE = [_about(b"other", body) for body in MESSAGES]


async def _publish(row: Row, ours: Any, theirs: Libzmq) -> None:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:  # a libzmq that is bound subscribes when its socket is next used
            assert await theirs.receive(len(_NEWS)) == _NEWS

        await ours.wait_subscribed(TOPIC)
        if row.ours == "XPUB":
            shown = []
            with suppress(trio.WouldBlock):
                while True:
                    shown.append(ours.receive_nowait())
            # A peer that we connect to is the same after a reconnection, and its subscriptions are no news.
            assert b"\1" + TOPIC in shown or ours.statistics().reconnects
        for noise, news in zip(_NOISE, _NEWS, strict=True):
            await ours.send_multipart(noise)
            await ours.send_multipart(news)


async def _publish_and_hear(row: Row, ours: Any, theirs: Libzmq) -> None:
    await _publish(row, ours, theirs)
    if row.theirs == "XSUB":
        await theirs.send(*([b"upstream", *body] for body in MESSAGES))
        for body in MESSAGES:
            assert await ours.receive_multipart() == [b"upstream", *body]


async def _subscribe(row: Row, ours: Any, theirs: Libzmq) -> None:
    """PUB does not tell when somebody has subscribed: it is heard when something comes."""
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def probe() -> None:
            with trio.CancelScope() as probing:
                nursery.start_soon(_receive_and_cancel, ours, probing)
                while True:
                    await theirs.send([TOPIC, b"probe"])

    await theirs.send([TOPIC, b"end of probes"])
    while await ours.receive_multipart() != [TOPIC, b"end of probes"]:
        pass
    await _read(ours, theirs)


async def _receive_and_cancel(ours: Any, scope: trio.CancelScope) -> None:
    assert await ours.receive_multipart() == [TOPIC, b"probe"]
    scope.cancel()


async def _subscribe_and_tell(row: Row, ours: Any, theirs: Libzmq) -> None:
    while await theirs.receive() != [[b"\1" + TOPIC]]:
        pass
    await _read(ours, theirs)
    if row.ours == "XSUB":
        for body in MESSAGES:
            await ours.send_multipart([b"upstream", *body])
        assert await theirs.receive(len(MESSAGES)) == [[b"upstream", *body] for body in MESSAGES]


async def _read(ours: Any, theirs: Libzmq) -> None:
    for noise, news in zip(_NOISE, _NEWS, strict=True):
        await theirs.send(noise, news)
    for news in _NEWS:
        assert await ours.receive_multipart() == news


_KINDS = (
    mq.Pair, mq.Push, mq.Pull, mq.Pub, mq.Sub, mq.XPub, mq.XSub, mq.Req, mq.Rep, mq.Dealer, mq.Router,
)  # fmt: skip

ROWS = [
    Row("PAIR", "PAIR", _both),
    Row("PUSH", "PULL", _tell),
    Row("PULL", "PUSH", _hear),
    Row("PUB", "SUB", _publish),
    Row("PUB", "XSUB", _publish),
    Row("XPUB", "SUB", _publish_and_hear),
    Row("XPUB", "XSUB", _publish_and_hear),
    Row("SUB", "PUB", _subscribe),
    Row("XSUB", "PUB", _subscribe),
    Row("SUB", "XPUB", _subscribe_and_tell),
    Row("XSUB", "XPUB", _subscribe_and_tell),
    Row("REQ", "REP", _ask),
    Row("REP", "REQ", _answer),
    Row("REQ", "ROUTER", _ask),
    Row("ROUTER", "REQ", _answer),
    Row("DEALER", "REP", _ask),
    Row("REP", "DEALER", _answer),
    Row("DEALER", "DEALER", _both),
    Row("DEALER", "ROUTER", _both),
    Row("ROUTER", "DEALER", _both),
    Row("ROUTER", "ROUTER", _both),
]
