"""What is too long for its receiver? The sender's call raises ValueError, and every connection stays."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import mq

from ..conftest import married, next_event
from .meeting import another

LONGEST_TOPIC = 2**20 - 10
LONGEST_METADATA = 2**20 - 1024


async def test_the_longest_topic_is_heard(endpoint: str, deadline: None) -> None:
    topic = b"t" * LONGEST_TOPIC
    async with married(mq.Pub(), mq.Sub(), endpoint) as (pub, sub):
        sub.subscribe(topic)
        await pub.wait_subscribed(topic)
        await pub.send(topic + b"body")
        assert await sub.receive() == topic + b"body"
        sub.unsubscribe(topic)
        sub.subscribe(b"")
        await pub.wait_subscribed(b"x")
        assert pub.topics_count == 1


@pytest.mark.parametrize("size", [LONGEST_TOPIC + 1, 5 * 2**20])
async def test_a_topic_that_is_too_long_raises_and_the_others_are_heard(
    endpoint: str, size: int, deadline: None
) -> None:
    topic = bytes(size)
    async with married(mq.Pub(), mq.Sub(), endpoint) as (pub, sub), mq.Sub() as later:
        sub.subscribe(b"a")
        with pytest.raises(ValueError, match=rf"at most {LONGEST_TOPIC} bytes, got {size}: .* shorter prefix"):
            sub.subscribe(topic)
        assert sub.topics_count == 1
        await pub.wait_subscribed(b"a")
        await pub.send(b"abc")
        assert await sub.receive() == b"abc"
        with pytest.raises(ValueError, match="at most"):
            later.subscribe(topic)
        later.subscribe(b"a")
        later.connect(pub.statistics().peers[0].endpoint)
        await pub.wait_subscribed(b"a", 2)
        assert sub.statistics().reconnects == later.statistics().reconnects == 0


@pytest.mark.parametrize("options", [{}, {"xsub_verbose_unsubscribe": True}], ids=["", "verbose"])
async def test_an_xsub_sends_no_topic_that_is_too_long(
    endpoint: str, options: dict[str, Any], deadline: None
) -> None:
    topic = bytes(LONGEST_TOPIC + 1)
    async with married(mq.XPub(), mq.XSub(**options), endpoint) as (xpub, xsub):
        for first in (b"\x01", b"\x00"):
            with pytest.raises(ValueError, match="at most"):
                await xsub.send(first + topic)
            with pytest.raises(ValueError, match="at most"):
                xsub.send_nowait(first + topic)
            with pytest.raises(ValueError, match="at most"):
                await xsub.send_multipart([b"\x01a", first + topic])
        assert xsub.topics_count == xsub.statistics().messages_out == 0
        await xsub.send(b"upstream " + topic)  # no command: as long as one likes
        await xsub.send(b"\x01a")
        assert [await xpub.receive() for _ in range(2)] == [b"upstream " + topic, b"\x01a"]


async def test_a_proxy_counts_a_topic_that_is_too_long_and_goes_on(endpoint: str, deadline: None) -> None:
    topic = bytes(LONGEST_TOPIC + 1)
    async with (
        married(mq.Pair(), mq.Pair(), another("inproc://topics")) as (pair, source),
        married(mq.XPub(), mq.XSub(), endpoint) as (xpub, xsub),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(mq.proxy, pair, xsub)
        await source.send(b"\x01" + topic)
        await source.send(b"\x01a")
        assert await xpub.receive() == b"\x01a"
        nursery.cancel_scope.cancel()
    assert sum(xsub.statistics().dropped.values()) == 1


async def test_as_much_metadata_as_peers_take_is_told(wire_endpoint: str, deadline: None) -> None:
    most = LONGEST_METADATA - len("X-a") - 5
    dealer = mq.Dealer(metadata={"X-a": "b" * most}, routing_id=b"n" * 255)
    async with mq.Router() as router, router.monitor() as events, dealer:
        dealer.connect(router.bind(wire_endpoint))
        assert (await next_event(events, mq.Handshaken)).metadata == {"X-a": "b" * most}


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"X-a": "b" * (LONGEST_METADATA - 7)}, rf"has {LONGEST_METADATA + 1} bytes .* at most {LONGEST_METADATA}"),
        ({f"X-{number}": "é" * 1000 for number in range(600)}, "send long values in a message"),
        ({"X-" + "n" * 254: ""}, "at most 255 ASCII characters; got 'X-nnn.*, which has 256 characters"),
        ({"X-a": "\ud800"}, "UTF-8 cannot encode the text at 'X-a'"),
    ],
    ids=["one long value", "many values", "a long name", "no text"],
)
def test_metadata_that_peers_would_refuse_is_refused_here(metadata: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        mq.Push(metadata=metadata)


async def test_metadata_are_those_that_the_constructor_got(endpoint: str, deadline: None) -> None:
    metadata: dict[str, Any] = {"X-Unit": "7"}
    async with mq.Pull() as pull, pull.monitor() as events, mq.Push(metadata=metadata) as push:
        metadata["X-Unit"] = None  # would be no text to encode
        push.connect(pull.bind(endpoint))
        assert (await next_event(events, mq.Handshaken)).metadata == {"X-Unit": "7"}


async def test_a_routing_id_has_at_most_255_bytes(endpoint: str, deadline: None) -> None:
    async with mq.Router() as router:
        for size in (0, 256):
            with pytest.raises(ValueError, match=f"1 to 255 bytes, got {size}"):
                router.connect(endpoint, routing_id=bytes(size))
    with pytest.raises(ValueError, match="0 to 255 bytes; got 256"):
        mq.Dealer(routing_id=bytes(256))


async def test_a_group_has_at_most_255_bytes(deadline: None) -> None:
    async with mq.Radio() as radio, mq.Dish() as dish:
        with pytest.raises(ValueError, match="at most 255 bytes and contains no NUL, got 256 bytes"):
            dish.join(b"g" * 256)
        with pytest.raises(ValueError, match="got 256 bytes"):
            await radio.send(b"g" * 256, b"body")
        with pytest.raises(ValueError, match="got 256 bytes"):
            radio.send_nowait(b"g" * 256, b"body")
