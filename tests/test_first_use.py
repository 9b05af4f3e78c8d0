"""Does a mistake of the first hour meet a message that says what was wrong, what was received, and what to do?"""

from __future__ import annotations

import array
import asyncio
import logging
import mmap
import re
import socket as stdlib_socket
from pathlib import Path
from typing import Any

import pytest
import trio

import mq


def says(*parts: str) -> str:
    """Return a pattern for a message that has all ``parts`` in this order."""
    return "(?s)" + ".*".join(map(re.escape, parts))


class Forgotten:
    """What a call of an async function returns, without the warning about it."""

    def __await__(self) -> Any:
        raise AssertionError("nobody awaits it")

    def __repr__(self) -> str:
        return "<Forgotten>"


@pytest.fixture
def nobody() -> str:
    """An endpoint where nobody listens."""
    with stdlib_socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


# -- endpoints ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["bind", "connect"])
@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("http://127.0.0.1:80", ("'http://127.0.0.1:80'", "unknown scheme 'http'", "tcp://, ipc://, inproc://")),
        ("127.0.0.1:80", ("'127.0.0.1:80'", "has no scheme", "'tcp://127.0.0.1:5555'")),
        ("tcp://127.0.0.1", ("'tcp://127.0.0.1'", "host:port")),
        ("tcp://127.0.0.1:70000", ("'tcp://127.0.0.1:70000'", "port '70000'", "65535")),
        ("tcp://127.0.0.1:5555x", ("'tcp://127.0.0.1:5555x'", "host:port")),
        ("ipc://", ("'ipc://'", "no address")),
        ("ipc:/tmp/x", ("'ipc:/tmp/x'", "has no scheme", "'ipc:///tmp/x'")),
        ("tcp:/127.0.0.1:5555", ("'tcp:/127.0.0.1:5555'", "has no scheme", "'tcp://127.0.0.1:5555'")),
        ("inproc:name", ("'inproc:name'", "has no scheme", "'inproc://name'")),
        ("ipc:///" + "long" * 40, ("161 bytes", "107", "shorter directory")),
    ],
)
async def test_an_endpoint_that_cannot_be_read_is_repeated(
    method: str, endpoint: str, message: tuple[str, ...]
) -> None:
    async with mq.Pull() as pull:
        with pytest.raises(mq.InvalidEndpoint, match=says(*message)):
            getattr(pull, method)(endpoint)


async def test_an_endpoint_that_is_no_text_is_shown() -> None:
    async with mq.Pull() as pull:
        with pytest.raises(TypeError, match=says("an endpoint is a str", "5555")):
            pull.bind(5555)  # type: ignore[arg-type]


@pytest.mark.parametrize("wildcard", ["tcp://*:5555", "tcp://127.0.0.1:*", "ipc://*"])
async def test_a_wildcard_is_for_bind_only(wildcard: str) -> None:
    async with mq.Push() as push:
        with pytest.raises(mq.InvalidEndpoint, match=says("cannot be connected to", "bind()")):
            push.connect(wildcard)


@pytest.mark.parametrize(
    ("endpoint", "advice"),
    [
        ("tcp://127.0.0.1:*", "let the system choose with port '*'"),
        ("ipc://*", "bind another path or 'ipc://*'"),
        ("inproc://taken", "close that socket, or choose another name"),
    ],
)
async def test_an_address_in_use_is_named_with_what_to_do(endpoint: str, advice: str) -> None:
    async with mq.Pull() as first, mq.Pull() as second:
        taken = first.bind(endpoint)
        with pytest.raises(mq.BindError, match=says(f"cannot bind {taken!r}", "Address already in use", advice)):
            second.bind(taken)


async def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    async with mq.Pull() as pull:
        with pytest.raises(mq.BindError, match=says("cannot bind", "nowhere", "create it first")):
            pull.bind(f"ipc://{tmp_path}/nowhere/socket")


async def test_undoing_what_was_not_done_names_what_was() -> None:
    async with mq.Pull() as pull:
        endpoint = pull.bind("tcp://127.0.0.1:*")
        with pytest.raises(mq.InvalidEndpoint, match=says("Pull is not bound to 'tcp://*:1'", endpoint)):
            pull.unbind("tcp://*:1")


async def test_unbind_and_disconnect_name_each_other() -> None:
    async with mq.Pull() as pull:
        endpoint = pull.bind("tcp://127.0.0.1:*")
        pull.connect("tcp://127.0.0.1:1")
        with pytest.raises(mq.InvalidEndpoint, match=says("is not connected to", "it is bound: call unbind()")):
            pull.disconnect(endpoint)
        with pytest.raises(mq.InvalidEndpoint, match=says("is not bound to", "connected there: call disconnect()")):
            pull.unbind("tcp://127.0.0.1:1")


@pytest.mark.parametrize("n", ["tcp://127.0.0.1:5555", None, 1.5, b"topic"])
async def test_a_number_of_peers_that_is_none_is_shown(n: Any) -> None:
    async with mq.Pub() as pub, mq.Radio() as radio:
        for wait in (pub.wait_connected, lambda n: pub.wait_subscribed(b"", n), lambda n: radio.wait_joined(b"", n)):
            with pytest.raises(TypeError, match=says("n is a number of peers", repr(n))):
                await wait(n)


# -- life --------------------------------------------------------------------------------------------------


async def test_a_forgotten_async_with_is_named() -> None:
    push = mq.Push()
    with pytest.raises(mq.NotOpen, match=says("this Push is not open", "async with mq.Push() as socket:")):
        push.connect("tcp://127.0.0.1:5555")
    with pytest.raises(mq.NotOpen, match=says("this Push is not open", "async with mq.Push() as socket:")):
        await push.send(b"hello")


async def test_with_in_place_of_async_with_is_named() -> None:
    push: Any = mq.Push()
    with pytest.raises(TypeError, match=says("async with mq.Push() as socket:", "this was 'with'")), push:
        pass


async def test_forgotten_parentheses_are_named() -> None:
    kind: Any = mq.Push
    with pytest.raises(TypeError, match=says("async with mq.Push() as socket:", "parentheses")):
        async with kind:
            pass


async def test_use_after_the_block_is_named() -> None:
    async with mq.Push() as push:
        pass
    with pytest.raises(trio.ClosedResourceError, match=says("this Push is closed", "its block has ended")):
        await push.send(b"hello")


async def test_a_second_block_is_named() -> None:
    async with mq.Push() as push:
        pass
    with pytest.raises(mq.NotOpen, match=says("this Push was opened before", "make a new one")):
        async with push:
            pass


def test_asyncio_is_named() -> None:
    async def main() -> None:
        async with mq.Push():
            pass

    with pytest.raises(mq.NotOpen, match=says("a Push can only be opened in a Trio task", "trio.run(main)", "asyncio")):
        asyncio.run(main())


async def test_another_thread_is_named() -> None:
    async with mq.Push() as push:
        with pytest.raises(mq.WrongThread, match=says("belongs to the Trio run of another thread", "inproc://")):
            await trio.to_thread.run_sync(push.connect, "tcp://127.0.0.1:5555")


def test_an_option_that_does_not_exist_meets_those_that_do() -> None:
    with pytest.raises(TypeError, match=says("Pull() has no option 'hwm'", "send_hwm and receive_hwm")):
        mq.Pull(hwm=3)  # type: ignore[call-arg]


def test_an_option_of_the_wrong_unit_is_shown() -> None:
    with pytest.raises(ValueError, match=says("linger is a number of seconds", "math.inf", "-1")):
        mq.Pull(linger=-1)


# -- messages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("hello", ("a frame is bytes", "the str 'hello'", "text.encode()")),
        ([b"a", b"b"], ("a frame is bytes", "list", "send_multipart()")),
        ({"a": 1}, ("a frame is bytes", "dict {'a': 1}", "serialize it first")),
        (None, ("a frame is bytes", "got None", "serialize it first")),
        (array.array("i", [1, 2]), ("a frame is bytes", "array('i', [1, 2])", "bytes(value)")),
        (mmap.mmap(-1, 8), ("a frame is bytes", "mmap", "bytes(value)")),
        (Forgotten(), ("a frame is bytes", "<Forgotten>", "an 'await' is missing")),
    ],
)
async def test_what_is_not_bytes_is_shown(message: Any, complaint: tuple[str, ...]) -> None:
    async with mq.Push(linger=0) as push:
        with pytest.raises(TypeError, match=says(*complaint)):
            await push.send(message)
        with pytest.raises(TypeError, match=says(*complaint)):
            push.send_nowait(message)


@pytest.mark.parametrize(
    ("frames", "error", "complaint"),
    [
        (["hello"], TypeError, ("a frame is bytes", "the str 'hello'")),
        (b"hello", TypeError, ("frames must be a list", "b'hello'", "send()")),
        ([], ValueError, ("at least one frame", "send [b'']")),
        ([array.array("B", b"x")], TypeError, ("a frame is bytes", "array('B', [120])", "bytes(value)")),
        (array.array("B", b"x"), TypeError, ("frames must be a list", "array('B', [120])", "send(bytes(value))")),
        (mmap.mmap(-1, 8), TypeError, ("frames must be a list", "mmap", "send(bytes(value))")),
        ({b"a", b"b"}, TypeError, ("frames must be a list", "set", "[frame, ...]")),
        ({b"a": b"b"}, TypeError, ("frames must be a list", "dict", "[frame, ...]")),
        (None, TypeError, ("frames must be a list", "got None", "[frame, ...]")),
        (Forgotten(), TypeError, ("frames must be a list", "<Forgotten>", "an 'await' is missing")),
    ],
)
async def test_what_is_not_a_list_of_frames_is_shown(
    frames: Any, error: type[Exception], complaint: tuple[str, ...]
) -> None:
    async with mq.Push(linger=0) as push:
        with pytest.raises(error, match=says(*complaint)):
            await push.send_multipart(frames)


@pytest.mark.parametrize("kind", [mq.Push, mq.Pub, mq.Pair, mq.Req, mq.Dealer, mq.Router, mq.XSub])
@pytest.mark.parametrize("frames", [array.array("B", b"xy"), [array.array("B", b"xy"), b"z"]])
async def test_a_buffer_is_refused_in_every_way_of_sending(kind: Any, frames: Any) -> None:
    async with kind(linger=0) as socket:
        with pytest.raises(TypeError, match=r"bytes\(value\)"):
            await socket.send_multipart(frames)
        with pytest.raises(TypeError, match=r"bytes\(value\)"):
            socket.send_multipart_nowait(frames)


@pytest.mark.parametrize("topic", [array.array("B", b"weather"), bytearray(b"weather"), mmap.mmap(-1, 8)])
async def test_a_topic_that_is_a_buffer_is_shown(topic: Any) -> None:
    async with mq.Sub() as sub, mq.Pub() as pub, mq.Dish() as dish, mq.Radio() as radio:
        for take in (sub.subscribe, sub.unsubscribe):
            with pytest.raises(TypeError, match=says("a topic is bytes", type(topic).__name__, "bytes(topic)")):
                take(topic)
        with pytest.raises(TypeError, match=says("a topic is bytes", type(topic).__name__, "bytes(topic)")):
            await pub.wait_subscribed(topic)
        with pytest.raises(TypeError, match=says("a group is bytes", type(topic).__name__, "bytes(group)")):
            dish.join(topic)
        with pytest.raises(TypeError, match=says("a group is bytes", type(topic).__name__, "bytes(group)")):
            await radio.send(topic, b"x")


def test_an_option_of_bytes_that_is_given_text_says_how_to_encode_it() -> None:
    with pytest.raises(ValueError, match=says("routing_id is bytes; got 'ann'", "routing_id='ann'.encode()")):
        mq.Dealer(routing_id="ann")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=says("hello_message is bytes or None", "hello_message='hi'.encode()")):
        mq.Dealer(hello_message="hi")  # type: ignore[arg-type]


async def test_receive_of_several_frames_hands_them_over() -> None:
    async with mq.Pair() as one, mq.Pair() as other:
        other.connect(one.bind("inproc://several"))
        await other.send_multipart([b"a", b"b"])
        with pytest.raises(mq.MultipartMessage, match=says("2 frames", ".frames", "receive_multipart()")) as caught:
            await one.receive()
        assert caught.value.frames == [b"a", b"b"]


# -- what a socket does not have ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("socket", "name", "advice"),
    [
        (mq.Push, "receive", "it only sends; receive with the mq.Pull at the other end"),
        (mq.Push, "receive_nowait", "it only sends"),
        (mq.Pull, "send", "it only receives; send with the mq.Push at the other end"),
        (mq.Pull, "send_multipart", "it only receives"),
        (mq.Pair, "recv", "write 'await socket.receive()'"),
        (mq.Pair, "send_string", "text.encode()"),
        (mq.Pair, "setsockopt", "mq.Pair(linger=1.0)"),
        (mq.Pair, "close", "async with"),
    ],
)
def test_a_name_that_a_socket_does_not_have_says_what_to_write(
    socket: type[mq.Socket], name: str, advice: str
) -> None:
    for where in (socket, socket()):
        assert not hasattr(where, name)
        with pytest.raises(AttributeError, match=says(f"{socket.__name__} has no {name!r}", advice)):
            getattr(where, name)


def test_an_option_set_as_an_attribute_is_refused() -> None:
    push = mq.Push()
    with pytest.raises(AttributeError, match=says("Push has no 'linger'", "mq.Push(linger=1.0)")):
        push.linger = 0  # type: ignore[attr-defined]


def test_a_name_that_nobody_has_is_as_unknown_as_ever() -> None:
    with pytest.raises(AttributeError, match="'Push' object has no attribute 'brew_coffee'"):
        mq.Push().brew_coffee  # type: ignore[attr-defined]  # noqa: B018


# -- nobody is there ---------------------------------------------------------------------------------------


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_send_that_waits_on_a_socket_without_endpoints_says_so(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Push() as push:
        with trio.move_on_after(10):
            await push.send(b"hello")
    assert warnings(caplog) == ["Push.send() waits: the socket has no endpoint; call bind() or connect() on it"]


async def test_a_send_that_waits_for_the_first_peer_says_so_once(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Push() as push:
        endpoint = push.bind("tcp://127.0.0.1:*")
        for _ in range(3):
            with trio.move_on_after(10):
                await push.send(b"hello")
    assert warnings(caplog) == [f"Push.send() waits: nobody has connected to {endpoint}"]


async def test_a_receive_that_waits_for_a_server_says_why_it_is_not_reached(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture, nobody: str
) -> None:
    async with mq.Pull() as pull:
        pull.connect(nobody)
        with trio.move_on_after(10):
            await pull.receive()
    assert warnings(caplog) == [f"Pull.receive() waits: {nobody} is not reached: Connection refused"]


async def test_a_server_that_waits_for_clients_warns_of_nothing(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Pull() as pull:
        pull.bind("tcp://127.0.0.1:*")
        with trio.move_on_after(10):
            await pull.receive()
    assert warnings(caplog) == []


@pytest.mark.parametrize("binder", [mq.Pull, mq.Pair])
async def test_a_peer_of_the_wrong_type_is_named_on_both_sides(
    binder: type[mq.Pull] | type[mq.Pair], wire_endpoint: str
) -> None:
    async with mq.Pull() as puller, binder() as other, puller.monitor() as one, other.monitor() as two:
        puller.connect(other.bind(wire_endpoint))
        with trio.fail_after(20):
            for events, ours, theirs in ((one, "PULL", other.socket_type), (two, other.socket_type, "PULL")):
                async for event in events:
                    if isinstance(event, mq.HandshakeFailed):
                        assert re.match(
                            says(f"incompatible socket types: {ours} talks to", f"the peer is {theirs}"), event.reason
                        )
                        break


async def test_messages_for_a_peer_that_never_came_are_reported_after_linger(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture, nobody: str
) -> None:
    async with mq.Push(linger=3) as push:
        push.connect(nobody)
        await push.send(b"hello")
        await push.send(b"world")
        with trio.fail_after(10):
            await push.aclose()
    (warning,) = warnings(caplog)
    assert warning == (
        f"Push closed and dropped 2 unsent messages for {nobody}, which was never reached (Connection refused): "
        "nothing was taken for 3 s; linger= sets how long to wait"
    )


async def test_messages_left_behind_by_an_exception_are_no_warning(
    caplog: pytest.LogCaptureFixture, nobody: str
) -> None:
    caplog.set_level(logging.INFO)

    async def stumble() -> None:
        async with mq.Push() as push:
            push.connect(nobody)
            await push.send(b"hello")
            raise KeyError

    with pytest.raises(KeyError):
        await stumble()
    assert warnings(caplog) == []
    assert "dropped 1 unsent message for" in caplog.text
    assert "left by an exception" in caplog.text
