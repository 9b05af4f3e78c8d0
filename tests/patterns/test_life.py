"""How does a socket open and close? Once, in its block, and nothing that waits in it is left behind."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, until
from .meeting import HUGE, fill, receive_all

SOCKETS = (mq.Push, mq.Pull, mq.Pair)

Use = Callable[[Any], Awaitable[object]]


async def _bind(socket: Any) -> None:
    socket.bind("inproc://used-when-it-should-not-be")


async def _connect(socket: Any) -> None:
    socket.connect("inproc://used-when-it-should-not-be")


async def _send_nowait(socket: Any) -> None:
    socket.send_nowait(b"")


async def _receive_nowait(socket: Any) -> None:
    socket.receive_nowait()


async def _monitor(socket: Any) -> None:
    async with socket.monitor():
        pass


USES: dict[str, Use] = {
    "bind": _bind,
    "connect": _connect,
    "send": lambda socket: socket.send(b""),
    "send_multipart": lambda socket: socket.send_multipart([b""]),
    "send_nowait": _send_nowait,
    "receive": lambda socket: socket.receive(),
    "receive_multipart": lambda socket: socket.receive_multipart(),
    "receive_nowait": _receive_nowait,
    "wait_connected": lambda socket: socket.wait_connected(),
    "monitor": _monitor,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_a_socket_that_was_not_opened_says_to_write_async_with(use: Use, deadline: None) -> None:
    with pytest.raises(mq.NotOpen, match=r"async with mq\.Pair"):
        await use(mq.Pair())


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_a_socket_whose_block_has_ended_is_closed(use: Use, deadline: None) -> None:
    async with mq.Pair() as pair:
        pass
    with pytest.raises(trio.ClosedResourceError):
        await use(pair)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_a_socket_is_closed_after_aclose(use: Use, deadline: None) -> None:
    async with mq.Pair() as pair:
        await pair.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await use(pair)


async def test_a_socket_opens_only_once(deadline: None) -> None:
    pair = mq.Pair()
    async with pair:
        with pytest.raises(mq.NotOpen, match="opened before"):
            await pair.__aenter__()
    with pytest.raises(mq.NotOpen, match="opened before"):
        async with pair:
            raise AssertionError("opened a second time")


def test_a_socket_that_is_never_opened_is_no_trouble() -> None:
    for kind in SOCKETS:
        assert "not opened" in repr(kind())
    gc.collect()


def test_a_socket_cannot_be_opened_outside_trio() -> None:
    entering = mq.Push().__aenter__()
    with pytest.raises(RuntimeError):
        entering.send(None)


async def test_entering_is_no_checkpoint_and_leaving_is_one(deadline: None) -> None:
    pair = mq.Pair()
    with trio.testing.assert_no_checkpoints():
        await pair.__aenter__()
    with trio.testing.assert_checkpoints():
        await pair.__aexit__(None, None, None)


async def test_repr_tells_state_and_endpoints(deadline: None) -> None:
    async with mq.Push() as push:
        assert "no endpoint" in repr(push)
        push.connect("inproc://in-repr")
        assert repr(push) == "<mq.Push open, inproc://in-repr>"
    assert "closed" in repr(push)


async def test_aclose_may_be_called_again_and_again(endpoint: str, deadline: None) -> None:
    async with married(mq.Pair(), mq.Pair(), endpoint) as (pair, _):
        for _ in range(3):
            await pair.aclose()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(pair.aclose)
    await pair.aclose()


async def test_aclose_of_a_socket_that_was_never_opened_does_nothing(deadline: None) -> None:
    await mq.Pair().aclose()


async def test_code_after_aclose_goes_on_undisturbed(endpoint: str, deadline: None) -> None:
    async with married(mq.Pair(), mq.Pair(), endpoint) as (pair, _):
        await pair.aclose()
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)


async def test_aclose_in_another_task_ends_every_wait(endpoint: str, deadline: None) -> None:
    ended: list[str] = []

    async def expect_closed(name: str, wait: Callable[..., Awaitable[object]], *arguments: object) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await wait(*arguments)
        ended.append(name)

    pair = mq.Pair(send_hwm=2, linger=0)
    async with married(pair, mq.Pair(receive_hwm=2), endpoint), trio.open_nursery() as nursery:
        await fill(pair, HUGE)
        for _ in range(2):
            nursery.start_soon(expect_closed, "send", pair.send, HUGE)
            nursery.start_soon(expect_closed, "send_multipart", pair.send_multipart, [HUGE, HUGE])
            nursery.start_soon(expect_closed, "receive", pair.receive)
            nursery.start_soon(expect_closed, "receive_multipart", pair.receive_multipart)
            nursery.start_soon(expect_closed, "wait_connected", pair.wait_connected, 2)
        await wait_all_tasks_blocked()
        assert not ended
        await pair.aclose()
        await until(lambda: len(ended) == 10)


async def test_aclose_ends_waits_in_a_socket_without_a_peer(deadline: None) -> None:
    async with mq.Pair() as pair, trio.open_nursery() as nursery:

        async def expect_closed(wait: Callable[..., Awaitable[object]], *arguments: object) -> None:
            with pytest.raises(trio.ClosedResourceError):
                await wait(*arguments)

        nursery.start_soon(expect_closed, pair.send, b"")
        nursery.start_soon(expect_closed, pair.receive)
        nursery.start_soon(expect_closed, pair.wait_connected)
        await wait_all_tasks_blocked()
        await pair.aclose()


async def test_a_loop_over_a_socket_ends_with_closed_when_another_task_closes_it(
    endpoint: str, deadline: None
) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, _), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def loop() -> None:
            with pytest.raises(trio.ClosedResourceError):
                async for _ in pull:
                    pass

        await wait_all_tasks_blocked()
        await pull.aclose()


@pytest.mark.parametrize("kind", SOCKETS)
async def test_an_exception_in_the_block_comes_out_as_itself(
    kind: type[Any], endpoint: str, deadline: None
) -> None:
    with pytest.raises(KeyError, match="mine"):  # noqa: PT012 - the block is what is tested
        async with kind() as socket:
            socket.bind(endpoint)
            socket.connect("inproc://nobody")
            raise KeyError("mine")


async def test_an_exception_comes_through_several_connected_sockets_as_itself(
    endpoint: str, deadline: None
) -> None:
    with pytest.raises(KeyError, match="mine"):  # noqa: PT012 - the block is what is tested
        async with married(mq.Pull(), mq.Push(), endpoint) as (_, push):
            await push.send(b"not waited for")
            raise KeyError("mine")


async def test_an_exception_from_a_receive_loop_comes_out_as_itself(endpoint: str, deadline: None) -> None:
    with pytest.raises(mq.MultipartMessage):  # noqa: PT012 - the block is what is tested
        async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
            await push.send_multipart([b"two", b"frames"])
            async for _ in pull:
                raise AssertionError("no single frame was sent")


async def test_two_sockets_share_one_block(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as push:
        push.connect(pull.bind(endpoint))
        for _ in range(10):
            await push.send(b"hello")
        assert await receive_all(pull, 10) == [b"hello"] * 10


async def test_a_block_may_be_left_before_anything_has_started(endpoint: str, deadline: None) -> None:
    for kind in SOCKETS:
        async with kind(linger=0) as socket:
            socket.bind(endpoint)
        async with kind(linger=0) as socket:
            socket.connect("tcp://127.0.0.1:9")
            socket.connect("inproc://nobody")


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
async def test_many_sockets_open_and_close_without_leaving_descriptors(wire_endpoint: str, deadline: None) -> None:
    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = descriptors()
    for _ in range(50):
        async with married(mq.Pull(), mq.Push(), wire_endpoint) as (pull, push):
            await push.send(b"hello")
            await pull.receive()
    assert descriptors() <= before


async def test_use_in_another_thread_says_so(deadline: None) -> None:
    async with mq.Push() as push:

        def elsewhere() -> None:
            with pytest.raises(mq.WrongThread, match="another thread"):
                push.send_nowait(b"")
            with pytest.raises(mq.WrongThread):
                trio.run(push.send, b"")
            with pytest.raises(mq.WrongThread):
                push.bind("inproc://elsewhere")
            with pytest.raises(mq.WrongThread):
                trio.run(push.aclose)

        await trio.to_thread.run_sync(elsewhere)


async def test_wait_connected_counts_peers(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as one, mq.Push() as two:
        address = pull.bind(endpoint)
        one.connect(address)
        await pull.wait_connected()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pull.wait_connected, 2)
            await wait_all_tasks_blocked()
            assert nursery.child_tasks
            two.connect(address)
        await pull.wait_connected(0)
