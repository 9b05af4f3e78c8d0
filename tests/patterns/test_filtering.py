"""Who filters? A publisher that does so exactly says it, and a subscriber that believes it looks no second time."""

from __future__ import annotations

from typing import Any

import pytest

import mq

from ..links.raw import Raw, raw_peer, raw_server
from ..protocols.wire import frame, greeting, multipart, ready

FILTER = b"\x06Filter\x00\x00\x00\x05exact"
EXACT = greeting() + ready(Socket_Type=b"PUB", Filter=b"exact")


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        (mq.Pub, {}, True),
        (mq.Pub, {"xpub_nodrop": True, "last_values": 5}, True),
        (mq.Pub, {"invert_matching": True}, False),
        (mq.XPub, {}, True),
        (mq.XPub, {"xpub_verboser": True}, True),
        (mq.XPub, {"xpub_manual": True}, False),
        (mq.XPub, {"xpub_manual_last_value": True}, False),
        (mq.XPub, {"xpub_welcome_message": b"welcome"}, False),
        (mq.Push, {}, False),
    ],
)
async def test_a_publisher_says_that_it_filters_when_it_does_so_exactly(
    wire_endpoint: str, kind: type[Any], options: dict[str, Any], says: bool, deadline: None
) -> None:
    async with kind(**options) as socket, raw_peer(socket.bind(wire_endpoint)) as raw:
        await raw.say(greeting())
        await raw.hear(64)
        _, body = await raw.hear_frame()
        assert body.startswith(b"\x05READY")
        assert (FILTER in body) is says


async def sent_by_exact(endpoint: str, said: bytes, count: int, unsubscribe: bytes = b"") -> list[list[bytes]]:
    """Return the first ``count`` messages that a SUB of ``a`` and ``b`` receives of what a publisher of its word said.

    All that is said is there in one read, after the SUB has unsubscribed.
    """

    async def serve(raw: Raw) -> None:
        await raw.say(EXACT)
        await raw.hear(64)
        heard = {await raw.hear_frame() for _ in range(4 if unsubscribe else 3)}
        assert len(heard) == (4 if unsubscribe else 3)
        await raw.say(said)
        await raw.hear_end()

    async with raw_server(endpoint, serve) as address, mq.Sub() as sub:
        sub.subscribe(b"a")
        sub.subscribe(b"b")
        sub.connect(address)
        if unsubscribe:
            await sub.wait_connected()
            sub.unsubscribe(unsubscribe)
        return [await sub.receive_multipart() for _ in range(count)]


async def test_a_publisher_that_filters_is_taken_at_its_word(wire_endpoint: str, deadline: None) -> None:
    said = frame(b"a1") + frame(b"unasked") + multipart(b"b", b"2")
    assert await sent_by_exact(wire_endpoint, said, 3) == [[b"a1"], [b"unasked"], [b"b", b"2"]]


@pytest.mark.parametrize("first", [frame(b"unasked"), multipart(b"unasked", b"a"), frame(b"")])
async def test_a_publisher_that_breaks_its_word_is_no_longer_believed(
    wire_endpoint: str, first: bytes, deadline: None
) -> None:
    unasked = frame(b"a1") + frame(b"unasked") + frame(b"a2")
    expected = [[b"a1"], [b"a2"]]
    assert await sent_by_exact(wire_endpoint, first + unasked, 2) == expected
    assert await sent_by_exact(wire_endpoint, unasked + first, 2) == expected


async def test_what_was_sent_before_the_publisher_heard_of_the_end_of_a_subscription_is_passed_over(
    wire_endpoint: str, deadline: None
) -> None:
    said = frame(b"a1") + frame(b"b1") + frame(b"a2")
    assert await sent_by_exact(wire_endpoint, said, 2, unsubscribe=b"b") == [[b"a1"], [b"a2"]]


async def test_a_publisher_that_says_nothing_is_not_believed(wire_endpoint: str, deadline: None) -> None:
    """Nothing tells whether it has a welcome message, or sends by hand what nobody asked for."""

    async def serve(raw: Raw) -> None:
        await raw.shake_hands(b"PUB")
        await raw.hear_frame()
        await raw.say(frame(b"a1") + frame(b"unasked") + frame(b"a2"))
        await raw.hear_end()

    async with raw_server(wire_endpoint, serve) as address, mq.Sub() as sub:
        sub.subscribe(b"a")
        sub.connect(address)
        assert [await sub.receive() for _ in range(2)] == [b"a1", b"a2"]
