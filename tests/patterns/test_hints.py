"""What does somebody learn who waits for nobody? The log says who is missing, once, after a while."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock

import mq
from mq import peers

from ..conftest import married, until
from .meeting import reserved


def _hints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "mq"]


async def test_a_socket_without_an_endpoint_is_told_to_bind_or_connect(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Push() as push:
        with trio.move_on_after(60):
            await push.send(b"to nobody")
    (hint,) = _hints(caplog)
    assert hint.startswith("Push.send() waits")
    assert "call bind() or connect()" in hint


async def test_the_hint_comes_once(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mq")
    async with mq.Pair() as pair:
        for _ in range(3):
            with trio.move_on_after(60):
                await pair.receive()
            with trio.move_on_after(60):
                await pair.send(b"to nobody")
    assert len(_hints(caplog)) == 1


async def test_a_binder_is_told_that_nobody_has_connected(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mq")
    async with mq.Push() as push:
        push.bind("inproc://alone")
        with trio.move_on_after(60):
            await push.send(b"to nobody")
    (hint,) = _hints(caplog)
    assert "nobody has connected to inproc://alone" in hint


async def test_a_sender_that_waits_for_room_is_told_when_its_peer_leaves(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Push(send_hwm=1) as push, trio.open_nursery() as nursery:
        address = push.bind("inproc://leaving")
        async with mq.Pull(receive_hwm=1) as pull:
            pull.connect(address)
            await push.wait_connected()
            for _ in range(2):
                await push.send(b"fills the queue")
            nursery.start_soon(push.send, b"waits")
            await trio.sleep(60)
            assert _hints(caplog) == []
        await trio.sleep(60)
        (hint,) = _hints(caplog)
        assert hint.startswith("Push.send() waits: nobody has connected to inproc://leaving")
        nursery.cancel_scope.cancel()


async def test_a_connecter_is_told_that_nobody_answers(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mq")
    async with mq.Pull() as pull:
        pull.connect("inproc://nobody")
        with trio.move_on_after(60):
            await pull.receive()
    (hint,) = _hints(caplog)
    assert "inproc://nobody is not reached" in hint


async def test_who_waits_to_be_connected_is_told_why_nobody_is(
    wire_endpoint: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    address = await reserved(wire_endpoint)
    async with mq.Push() as push:
        push.connect(address)
        with trio.move_on_after(60):
            await push.wait_connected()
    (hint,) = _hints(caplog)
    assert hint.startswith(f"Push.wait_connected() waits: {address} is not reached: ")


async def test_who_waits_only_a_moment_hears_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Pull() as pull:
        for _ in range(100):
            with trio.move_on_after(1):
                await pull.receive()
    assert not _hints(caplog)


async def test_a_receiver_that_was_hinted_still_receives(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Pull() as pull, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def come_late() -> None:
            await trio.sleep(60)
            async with mq.Push() as push:
                push.connect(pull.bind("inproc://late"))
                await push.send(b"hello")

        assert await pull.receive() == b"hello"
    assert len(_hints(caplog)) == 1


async def test_the_hint_says_why_an_endpoint_is_not_reached(
    deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    address = await reserved("tcp://127.0.0.1:*")
    async with mq.Push(immediate=True) as push, trio.open_nursery() as nursery:
        push.connect(address)
        nursery.start_soon(push.send, b"to nobody")
        await until(lambda: bool(_hints(caplog)))
        (hint,) = _hints(caplog)
        assert f"{address} is not reached" in hint
        assert "refused" in hint
        nursery.cancel_scope.cancel()


async def test_types_that_do_not_fit_are_named_in_the_hint(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Push() as one, mq.Push(linger=0) as two:
        two.connect(one.bind("inproc://misfits"))
        with trio.move_on_after(60):
            await one.send(b"to nobody")
    assert "PUSH talks to PULL, the peer is PUSH" in _hints(caplog)[0]


async def test_who_has_a_peer_hears_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with married(mq.Pull(), mq.Push(), "inproc://quiet") as (pull, _):
        with trio.move_on_after(600):
            await pull.receive()
    assert not _hints(caplog)


@pytest.mark.parametrize("kind", [mq.Rep, mq.Router])
async def test_a_server_that_listens_is_not_warned_that_nobody_has_come_yet(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, kind: type[mq.Rep] | type[mq.Router]
) -> None:
    async def answer(request: bytes) -> bytes:
        return request

    caplog.set_level(logging.DEBUG, "mq")
    async with kind() as server:
        server.bind("inproc://served")
        with trio.move_on_after(60):
            await server.serve(answer)
    assert [record.levelname for record in caplog.records if record.name == "mq"] == ["INFO"]


async def test_what_comes_in_the_very_moment_of_the_hint_is_not_missed(autojump_clock: MockClock) -> None:
    for _ in range(20):  # who runs first in that moment is left to chance
        async with mq.Push(linger=0) as push, trio.open_nursery() as nursery:
            nursery.start_soon(push.send, b"hello")
            await trio.sleep(peers.PATIENCE)
            push.connect("inproc://nobody")
            with trio.fail_after(60):
                while push.statistics().queued_out == 0:  # noqa: ASYNC110 - it has no event
                    await trio.sleep(1)
