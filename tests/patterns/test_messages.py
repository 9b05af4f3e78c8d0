"""What can be sent, and what comes of it? Frames, whole messages, and what is no message."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import mq

from ..conftest import married, until


@pytest.mark.parametrize(
    "frames",
    [[b""], [b"one"], [b"", b""], [b"a", b"", b"c"], [b"x" * 300, b"y"], [b"%d" % n for n in range(1000)]],
    ids=["empty", "one", "two empty", "empty between", "long first", "a thousand"],
)
async def test_a_message_arrives_with_the_frames_it_was_sent_with(
    endpoint: str, frames: list[bytes], deadline: None
) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        await push.send_multipart(frames)
        assert await pull.receive_multipart() == frames


async def test_any_iterable_of_frames_makes_a_message(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        await push.send_multipart(part for part in (b"a", bytearray(b"b"), memoryview(b"c")))
        push.send_multipart_nowait((b"d", b"e"))
        assert await pull.receive_multipart() == [b"a", b"b", b"c"]
        assert await pull.receive_multipart() == [b"d", b"e"]


async def test_receive_hands_over_the_frames_of_a_multipart_message_in_its_error(
    endpoint: str, deadline: None
) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        for _ in range(2):
            await push.send_multipart([b"a", b"b"])
        await push.send(b"after")
        with pytest.raises(mq.MultipartMessage, match="receive_multipart") as caught:
            await pull.receive()
        assert caught.value.frames == [b"a", b"b"]
        await until(lambda: pull.statistics().queued_in == 2)
        with pytest.raises(mq.MultipartMessage) as caught:
            pull.receive_nowait()
        assert caught.value.frames == [b"a", b"b"]
        assert await pull.receive() == b"after"


async def test_what_is_sent_is_a_copy_of_what_its_owner_can_change(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        owned = bytearray(b"before")
        await push.send(owned)
        await push.send(memoryview(owned))
        push.send_nowait(owned)
        await push.send_multipart([owned, b"and bytes"])
        owned[:] = b"after!"
        for _ in range(3):
            message = await pull.receive()
            assert type(message) is bytes
            assert message == b"before"
        assert await pull.receive_multipart() == [b"before", b"and bytes"]


async def test_the_list_of_frames_stays_the_senders(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        frames = [b"a", b"b"]
        await push.send_multipart(frames)
        frames.append(b"too late")
        got = await pull.receive_multipart()
        assert got == [b"a", b"b"]
        got.append(b"mine now")
        assert frames == [b"a", b"b", b"too late"]


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("text", r"encode it"),
        (["a", "list"], r"send_multipart\(\)"),
        ((b"a", b"tuple"), r"send_multipart\(\)"),
        (7, r"serialize it"),
        (None, r"serialize it"),
        ({"a": 1}, r"serialize it"),
    ],
    ids=["str", "list", "tuple", "int", "None", "dict"],
)
async def test_what_is_no_frame_is_refused_with_advice(
    value: Any, advice: str, endpoint: str, deadline: None
) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        with pytest.raises(TypeError, match=advice):
            await push.send(value)
        with pytest.raises(TypeError, match=advice):
            push.send_nowait(value)
        with pytest.raises(TypeError, match=advice):
            await push.send_multipart([b"fine", value])
        with pytest.raises(TypeError, match=advice):
            push.send_multipart_nowait([b"fine", value])
        await push.send(b"the socket is none the worse")
        assert await pull.receive() == b"the socket is none the worse"
        assert push.statistics().messages_out == 1


@pytest.mark.parametrize("value", [b"bytes", bytearray(b"bytes"), "text"], ids=["bytes", "bytearray", "str"])
async def test_one_frame_is_no_list_of_frames(value: Any, deadline: None) -> None:
    async with mq.Push() as push:
        with pytest.raises(TypeError, match=r"use send\(\) or request\(\) for one"):
            await push.send_multipart(value)


async def test_a_message_without_frames_is_refused(deadline: None) -> None:
    async with mq.Push() as push:
        with pytest.raises(ValueError, match="at least one frame"):
            await push.send_multipart([])


def test_a_socket_has_the_directions_of_its_type_and_no_others() -> None:
    push, pull, pair = mq.Push(), mq.Pull(), mq.Pair()
    assert isinstance(push, trio.abc.SendChannel)
    assert not isinstance(push, trio.abc.ReceiveChannel)
    assert isinstance(pull, trio.abc.ReceiveChannel)
    assert not isinstance(pull, trio.abc.SendChannel)
    assert isinstance(pair, trio.abc.Channel)
    for name in ("receive", "receive_nowait", "receive_multipart", "receive_multipart_nowait"):
        assert not hasattr(push, name)
        assert hasattr(pull, name)
        assert hasattr(pair, name)
    for name in ("send", "send_nowait", "send_multipart", "send_multipart_nowait"):
        assert not hasattr(pull, name)
        assert hasattr(push, name)
        assert hasattr(pair, name)


def test_a_missing_direction_says_which_socket_has_it() -> None:
    with pytest.raises(AttributeError, match=r"Push has no 'receive': it only sends"):
        mq.Push().receive  # noqa: B018
    with pytest.raises(AttributeError, match=r"Pull has no 'send': it only receives"):
        mq.Pull().send  # noqa: B018


async def test_async_for_receives_until_the_loop_is_left(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        for message in (b"a", b"b", b"stop", b"c"):
            await push.send(message)
        got = []
        async for message in pull:
            if message == b"stop":
                break
            got.append(message)
        assert got == [b"a", b"b"]
        assert await pull.receive() == b"c"


async def test_a_socket_stands_in_for_a_memory_channel(endpoint: str, deadline: None) -> None:
    async def produce(channel: trio.abc.SendChannel[bytes]) -> None:
        for number in range(10):
            await channel.send(b"%d" % number)

    async def consume(channel: trio.abc.ReceiveChannel[bytes]) -> list[bytes]:
        return [await channel.receive() for _ in range(10)]

    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push), trio.open_nursery() as nursery:
        nursery.start_soon(produce, push)
        assert await consume(pull) == [b"%d" % number for number in range(10)]


async def test_types_that_do_not_fit_are_not_joined(endpoint: str, deadline: None) -> None:
    async with mq.Push(linger=0) as one, mq.Push(linger=0) as two, one.monitor() as events:
        two.connect(one.bind(endpoint))
        async for event in events:
            if isinstance(event, mq.HandshakeFailed):
                break
        assert "PUSH talks to PULL" in event.reason
        assert not one.statistics().peers
