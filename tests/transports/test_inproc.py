"""Which socket has an ``inproc`` name? Either order works, a name has one binder, and a change of it loses nothing."""

from __future__ import annotations

import errno

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from ..patterns.meeting import numbered, receive_all


@pytest.mark.parametrize("first", ["bind", "connect"])
async def test_bind_and_connect_come_in_either_order(first: str, deadline: None) -> None:
    async with mq.Pair() as one, mq.Pair() as two:
        if first == "bind":
            one.bind("inproc://order")
            two.connect("inproc://order")
        else:
            two.connect("inproc://order")
            one.bind("inproc://order")
        await one.send(b"to two")
        await two.send(b"to one")
        assert await one.receive() == b"to one"
        assert await two.receive() == b"to two"


async def test_a_second_binder_is_told_that_the_name_is_in_use(deadline: None) -> None:
    async with mq.Pull() as first, mq.Pull() as second:
        assert first.bind("inproc://taken") == "inproc://taken"
        with pytest.raises(mq.BindError, match=r"another socket of this process .* choose another") as caught:
            second.bind("inproc://taken")
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == errno.EADDRINUSE
        assert "inproc://taken" in str(caught.value)


async def test_a_name_is_free_after_its_binder_has_closed(deadline: None) -> None:
    for _ in range(3):
        async with mq.Pull() as pull:
            pull.bind("inproc://again")


async def test_a_name_is_free_after_its_binder_has_failed(deadline: None) -> None:
    for _ in range(3):
        with pytest.raises(KeyError):  # noqa: PT012 - the block is what is tested
            async with mq.Pull() as pull:
                pull.bind("inproc://again")
                raise KeyError


async def test_names_are_told_apart_to_the_letter(deadline: None) -> None:
    async with mq.Pull() as one, mq.Pull() as two, mq.Push() as push:
        one.bind("inproc://name")
        two.bind("inproc://Name")
        push.connect("inproc://Name")
        await push.send(b"hello")
        assert await two.receive() == b"hello"
        with pytest.raises(trio.WouldBlock):
            one.receive_nowait()


async def test_messages_sent_before_bind_arrive_from_every_peer(deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as one, mq.Push() as two:
        for push in (one, two):
            push.connect("inproc://early")
            for message in numbered(100):
                await push.send(message)
        pull.bind("inproc://early")
        assert sorted(await receive_all(pull, 200)) == sorted(numbered(100) * 2)


async def test_a_connecter_that_left_before_bind_is_no_peer(deadline: None) -> None:
    async with mq.Pull() as pull:
        async with mq.Push(linger=0) as push:
            push.connect("inproc://gave-up")
            await wait_all_tasks_blocked()
        pull.bind("inproc://gave-up")
        await wait_all_tasks_blocked()
        assert not pull.statistics().peers


async def test_messages_survive_a_chain_of_binders_in_order(deadline: None) -> None:
    got: list[bytes] = []
    async with mq.Push() as push:
        push.connect("inproc://heirs")
        for message in numbered(50):
            await push.send(message)
        while len(got) < 50:
            async with mq.Pull() as pull:
                pull.bind("inproc://heirs")
                got += await receive_all(pull, 7 if len(got) < 49 else 1)
    assert got == numbered(50)


async def test_a_waiting_receiver_of_the_next_binder_is_woken(deadline: None) -> None:
    async with mq.Push() as push:
        push.connect("inproc://next")
        async with mq.Pull() as first:
            first.bind("inproc://next")
            await push.wait_connected()
            await push.send(b"unread")
        async with mq.Pull() as second, trio.open_nursery() as nursery:

            @nursery.start_soon
            async def take() -> None:
                assert await second.receive() == b"unread"

            await wait_all_tasks_blocked()
            second.bind("inproc://next")


async def test_replies_of_a_binder_that_left_are_still_received(deadline: None) -> None:
    async with mq.Pair() as connecter:
        connecter.connect("inproc://replies")
        async with mq.Pair() as binder:
            binder.bind("inproc://replies")
            await binder.wait_connected()
            for message in numbered(10):
                await binder.send(message)
        assert await receive_all(connecter, 10) == numbered(10)


async def test_the_limit_is_the_connecters_own_until_somebody_binds(deadline: None) -> None:
    async with mq.Push(send_hwm=3) as push, mq.Pull(receive_hwm=4) as pull:
        push.connect("inproc://grows")
        for message in numbered(3):
            push.send_nowait(message)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"full")
        pull.bind("inproc://grows")
        await push.wait_connected()
        for message in numbered(4):
            push.send_nowait(message)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"full again")
        assert await receive_all(pull, 7) == numbered(3) + numbered(4)


async def test_a_sender_that_waits_at_its_own_limit_goes_on_when_somebody_binds(deadline: None) -> None:
    async with mq.Push(send_hwm=1) as push, mq.Pull(receive_hwm=1) as pull, trio.open_nursery() as nursery:
        push.connect("inproc://grows")
        await push.send(b"first")
        nursery.start_soon(push.send, b"second")
        await wait_all_tasks_blocked()
        pull.bind("inproc://grows")
        assert await receive_all(pull, 2) == [b"first", b"second"]


async def test_types_are_checked_and_the_misfit_may_be_replaced(deadline: None) -> None:
    async with mq.Push() as push, push.monitor() as events:
        push.connect("inproc://misfit")
        await push.send(b"hello")
        async with mq.Pair() as pair:
            pair.bind("inproc://misfit")
            assert "PUSH talks to PULL, the peer is PAIR" in (await next_event(events, mq.HandshakeFailed)).reason
        async with mq.Pull() as pull:
            pull.bind("inproc://misfit")
            assert await pull.receive() == b"hello"


async def test_frames_pass_without_being_copied(deadline: None) -> None:
    body = bytes(1000)
    async with married(mq.Pull(), mq.Push(), "inproc://same") as (pull, push):
        await push.send(body)
        assert await pull.receive() is body


@pytest.mark.parametrize("binds", ["here", "there"])
async def test_sockets_in_two_threads_talk(binds: str, deadline: None) -> None:
    count = 3000

    def elsewhere() -> list[bytes]:
        async def main() -> list[bytes]:
            with trio.fail_after(20):
                async with mq.Pair() as there:
                    (there.bind if binds == "there" else there.connect)("inproc://threads")
                    got = []
                    for _ in range(count):
                        got.append(await there.receive())
                        await there.send(got[-1])
                    return got

        return trio.run(main)

    async with mq.Pair() as here, trio.open_nursery() as nursery:
        (here.bind if binds == "here" else here.connect)("inproc://threads")
        results: list[bytes] = []

        @nursery.start_soon
        async def other_thread() -> None:
            results.extend(await trio.to_thread.run_sync(elsewhere))

        @nursery.start_soon
        async def send() -> None:
            for message in numbered(count):
                await here.send(message)

        assert await receive_all(here, count) == numbered(count)
    assert results == numbered(count)


async def test_the_other_side_learns_that_a_peer_has_left(deadline: None) -> None:
    async with mq.Pull() as pull:
        pull.bind("inproc://leaving")
        async with mq.Push() as push:
            push.connect("inproc://leaving")
            await pull.wait_connected()
        await until(lambda: not pull.statistics().peers)
