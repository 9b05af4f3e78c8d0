"""How much is read before it is received? What comes in handy, and when there is time to spare all that has room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from time import thread_time
from typing import TypeVar

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import Turns, until
from ..protocols.wire import command, frame, multipart, opening
from .raw import Raw, raw_peer

SMALL = frame(b"0123456789abcdef")
ONE_READ = 256 * 1024 // len(SMALL) + 1
"""Messages that one read brings, at most."""


Done = TypeVar("Done")


async def soon(work: Callable[[], Awaitable[Done]]) -> Done:
    """Return what ``work`` does, in a loop that never sleeps. Fail when it takes more than a few turns of it."""

    async def others() -> None:
        for _ in range(200):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        done = await work()
        nursery.cancel_scope.cancel()
        return done
    raise AssertionError("it took too many turns")


async def turns_until(condition: Callable[[], bool]) -> None:
    """Take turns until ``condition`` holds."""
    while not condition():
        await trio.lowlevel.checkpoint()


async def soon_though_busy(work: Callable[[], Awaitable[Done]]) -> Done:
    """As `soon`, in a loop that computes for 200 ms, and takes a turn in each."""

    async def others() -> None:
        for _ in range(200):
            until = thread_time() + 0.001
            while thread_time() < until:
                pass
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        done = await work()
        nursery.cancel_scope.cancel()
        return done
    raise AssertionError("it took too long")


async def talk(raw: Raw, receiver: mq.Pull) -> None:
    """Have ``receiver`` expect more of the same."""
    for _ in range(5):
        await raw.say(frame(b"a"))
        assert await receiver.receive() == b"a"


@asynccontextmanager
async def flooded(pulls: list[mq.Pull], endpoint: str, count: int) -> AsyncIterator[None]:
    """Have somebody connect to each of ``pulls``, and send so many small messages as fast as they are taken."""
    addresses: dict[mq.Pull, str] = {}
    async with AsyncExitStack() as stack:
        raws = []
        for pull in pulls:
            if pull not in addresses:
                addresses[pull] = pull.bind(endpoint if endpoint.startswith("tcp") else f"{endpoint}-{len(addresses)}")
            raws.append(await stack.enter_async_context(raw_peer(addresses[pull])))
            await raws[-1].shake_hands(b"PUSH")
        async with trio.open_nursery() as nursery:
            for raw in raws:
                nursery.start_soon(raw.say, SMALL * count)
            yield


@pytest.mark.parametrize("peers", [1, 5])
async def test_a_flood_is_read_about_as_fast_as_it_is_received(
    wire_endpoint: str, peers: int, deadline: None
) -> None:
    count = 200_000
    async with mq.Pull(receive_hwm=0) as pull, flooded([pull] * peers, wire_endpoint, count):
        most = 0
        for number in range(peers * count):
            await pull.receive()
            if number % 1000 == 0:
                most = max(most, *(peer.queued_in for peer in pull.statistics().peers))
    assert 0 < most <= 4 * ONE_READ


async def test_many_floods_do_not_keep_a_receiver_from_its_turn(wire_endpoint: str, deadline: None) -> None:
    count = 80_000
    async with AsyncExitStack() as stack:
        pulls = [await stack.enter_async_context(mq.Pull(receive_hwm=0)) for _ in range(15)]
        async with flooded(pulls, wire_endpoint, count):
            most = 0
            for number in range(count):
                for pull in pulls:
                    await pull.receive()
                if number % 1000 == 0:
                    most = max(most, *(pull.statistics().queued_in for pull in pulls))
    assert 0 < most <= 4 * ONE_READ


async def test_what_nobody_receives_is_read_as_far_as_there_is_room(wire_endpoint: str, deadline: None) -> None:
    count, body = 20_000, bytes(1000)
    async with (
        mq.Pull(receive_hwm=0) as pull,
        raw_peer(pull.bind(wire_endpoint)) as raw,
        trio.open_nursery() as nursery,
    ):
        await raw.shake_hands(b"PUSH")
        nursery.start_soon(raw.say, frame(body) * count)
        await until(lambda: pull.statistics().queued_in == count)
        for _ in range(count):
            assert await pull.receive() == body


async def test_a_ping_behind_what_nobody_receives_is_answered(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull(receive_hwm=0) as pull, raw_peer(pull.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PUSH")
        await raw.say(SMALL)
        assert await pull.receive() == SMALL[2:]  # it may come back, so it is let read
        await raw.say(SMALL * 5000 + command(b"PING", b"\0\0context"))
        assert await raw.hear_frame() == (4, b"\4PONGcontext")


async def test_a_ping_is_answered_while_somebody_receives_slowly(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, raw_peer(pull.bind(wire_endpoint)) as raw, trio.open_nursery() as nursery:
        await raw.shake_hands(b"PUSH")
        await raw.say(SMALL * 900)

        async def receive_slowly() -> None:
            while True:
                await pull.receive()
                await trio.sleep(0.001)

        nursery.start_soon(receive_slowly)
        await until(lambda: pull.statistics().messages_in > 5)
        await raw.say(command(b"PING", b"\0\0context"))
        assert await raw.hear_frame() == (4, b"\4PONGcontext")
        assert pull.statistics().messages_in < 900
        nursery.cancel_scope.cancel()


async def test_a_ping_is_answered_while_a_receiver_is_busy_with_its_message(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Pull() as pull, raw_peer(pull.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PUSH")
        await talk(raw, pull)
        await raw.say(command(b"PING", b"\0\0context"))
        assert await soon_though_busy(raw.hear_frame) == (4, b"\4PONGcontext")


async def test_who_has_sent_a_ping_has_the_next_answered_sooner(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, raw_peer(pull.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PUSH")
        await raw.say(command(b"PING", b"\0\0context"))
        assert await raw.hear_frame() == (4, b"\4PONGcontext")
        await talk(raw, pull)
        await raw.say(frame(b"a") * 10)
        assert await pull.receive() == b"a"
        await raw.say(command(b"PING", b"\0\0context"))
        assert await soon_though_busy(raw.hear_frame) == (4, b"\4PONGcontext")


async def test_reads_without_a_wait_end_a_turn_too(wire_endpoint: str, deadline: None) -> None:
    turns = Turns()
    async with (
        mq.Pull(read_size=100) as pull,
        raw_peer(pull.bind(wire_endpoint)) as raw,
        trio.open_nursery() as nursery,
    ):
        await raw.shake_hands(b"PUSH")
        nursery.start_soon(turns.take)
        for _ in range(5):  # as much as the kernel holds, so that there is always something to read
            await raw.say(frame(bytes(1000)) * 100)
            before = turns.count
            for _ in range(100):
                await pull.receive()
            assert turns.count - before >= 100 * 1000 // 100 // 16 - 3
        nursery.cancel_scope.cancel()


async def test_reads_of_what_is_not_wanted_end_a_turn_too(wire_endpoint: str, deadline: None) -> None:
    turns = Turns()
    async with (
        mq.Sub(read_size=100) as sub,
        mq.Push() as push,
        mq.Pull() as pull,
        raw_peer(sub.bind(wire_endpoint)) as raw,
        trio.open_nursery() as nursery,
    ):
        sub.subscribe(b"wanted")
        pull.connect(push.bind("inproc://wanted"))
        await raw.shake_hands(b"PUB")
        await sub.wait_connected()
        nursery.start_soon(mq.proxy, sub, push)
        await wait_all_tasks_blocked()
        nursery.start_soon(turns.take)
        await raw.say(frame(bytes(250)) * 200 + frame(b"wanted"))
        before = turns.count
        assert await pull.receive() == b"wanted"
        assert turns.count - before >= 200 * 250 // 100 // 16 - 3
        nursery.cancel_scope.cancel()


async def test_reads_of_replies_that_nobody_awaits_end_a_turn_too(wire_endpoint: str, deadline: None) -> None:
    turns = Turns()
    async with (
        mq.Req(read_size=100) as req,
        raw_peer(req.bind(wire_endpoint)) as raw,
        trio.open_nursery() as nursery,
    ):
        await raw.shake_hands(b"REP")
        await req.wait_connected()
        nursery.start_soon(turns.take)
        for _ in range(3):  # so that it reads by itself
            nursery.start_soon(req.request, b"")
            (_, number), _, _ = [await raw.hear_frame() for _ in range(3)]
            before = turns.count
            await raw.say(multipart(b"none", b"", bytes(250)) * 200 + multipart(number, b"", b""))
            await until(lambda: req.statistics().messages_in > 0 and not req._asked)
        assert turns.count - before >= 200 * 250 // 100 // 16 - 3
        nursery.cancel_scope.cancel()


async def test_messages_that_came_before_a_connection_ended_stay_to_be_received(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Pull(receive_hwm=0) as pull:
        async with raw_peer(pull.bind(wire_endpoint)) as raw:
            await raw.shake_hands(b"PUSH")
            await raw.say(SMALL * 3000)
            await until(lambda: pull.statistics().queued_in > 1000)
        for _ in range(3000):
            await pull.receive()
        with pytest.raises(trio.WouldBlock):
            pull.receive_nowait()


async def test_a_connection_ends_while_its_reader_waits_for_others_to_receive(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Router(receive_hwm=0, router_handover=True) as router, AsyncExitStack() as stack:
        address = router.bind(wire_endpoint)
        for number in range(1, 4):
            dealer = await stack.enter_async_context(mq.Dealer(routing_id=b"me"))
            dealer.connect(address)
            await router.wait_connected()
            for _ in range(3000):
                await dealer.send(b"0123456789abcdef")
            await until(lambda wanted=3000 * number: router.statistics().queued_in == wanted)
            assert len(router.statistics().peers) == 1


async def test_who_does_not_wait_receives_what_has_come(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, raw_peer(pull.bind(wire_endpoint)) as raw:

        async def ask() -> bytes:
            while True:
                try:
                    return pull.receive_nowait()
                except trio.WouldBlock:
                    await trio.lowlevel.checkpoint()

        await raw.shake_hands(b"PUSH")
        await talk(raw, pull)
        await raw.say(frame(b"b"))
        assert await soon(ask) == b"b"


async def test_a_peer_that_is_no_longer_the_only_one_is_heard(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull:
        address = pull.bind(wire_endpoint)
        async with raw_peer(address) as raw, raw_peer(address) as other:
            await other.say(opening(b"PUSH")[:-1])
            await raw.shake_hands(b"PUSH")
            await talk(raw, pull)
            await other.say(opening(b"PUSH")[-1:])
            await soon(lambda: pull.wait_connected(2))
            await raw.say(frame(b"b"))
            assert await soon(pull.receive) == b"b"


async def test_a_peer_that_is_no_longer_the_only_one_is_heard_by_who_waits(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Pull() as pull, trio.open_nursery() as nursery:
        address = pull.bind(wire_endpoint)
        async with raw_peer(address) as raw, raw_peer(address) as other:
            await other.say(opening(b"PUSH")[:-1])
            await raw.shake_hands(b"PUSH")
            await talk(raw, pull)
            got: list[bytes] = []

            async def receive() -> None:
                while True:
                    got.append(await pull.receive())

            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            await other.say(opening(b"PUSH")[-1:])
            await soon(lambda: pull.wait_connected(2))
            for number in range(1, 6):
                await raw.say(frame(b"b"))
                await soon(lambda wanted=number: turns_until(lambda: len(got) == wanted))
            nursery.cancel_scope.cancel()


async def test_after_a_message_that_is_not_for_who_waits_the_next_is_heard(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Sub() as sub, raw_peer(sub.bind(wire_endpoint)) as raw, trio.open_nursery() as nursery:
        sub.subscribe(b"a")
        await raw.shake_hands(b"PUB")
        await raw.say(frame(b"a"))
        assert await sub.receive() == b"a"
        got: list[bytes] = []

        async def receive() -> None:
            got.append(await sub.receive())

        with trio.move_on_after(0):  # the connection is watched for who waits next
            await sub.receive()
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        await raw.say(frame(b"not for it"))
        await turns_until(lambda: sub.statistics().peers[0].messages_in == 2)
        await raw.say(frame(b"ab"))
        await soon(lambda: turns_until(lambda: got == [b"ab"]))


async def test_subscriptions_take_effect_whether_or_not_they_are_received(wire_endpoint: str, deadline: None) -> None:
    async with mq.XPub() as xpub, raw_peer(xpub.bind(wire_endpoint)) as raw, trio.open_nursery() as nursery:
        await raw.shake_hands(b"SUB")
        for number in range(5):
            nursery.start_soon(xpub.receive)
            await wait_all_tasks_blocked()
            await raw.say(command(b"SUBSCRIBE", b"%d" % number))
            await soon(lambda wanted=number: xpub.wait_subscribed(b"%d" % wanted))
            await raw.say(command(b"SUBSCRIBE", b"more %d" % number))
            await soon(lambda wanted=number: xpub.wait_subscribed(b"more %d" % wanted))
            await xpub.receive()


async def test_with_conflate_the_newest_of_all_is_received(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull(conflate=True) as pull, raw_peer(pull.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PUSH")
        for number in range(1, 6):
            await talk(raw, pull)
            await raw.say(frame(b"old"))
            await raw.say(frame(b"newest"))
            await soon(lambda total=7 * number: turns_until(lambda: pull.statistics().peers[0].messages_in == total))
            assert await pull.receive() == b"newest"


async def test_two_receivers_share_a_connection_that_gives_little_at_a_time(
    wire_endpoint: str, deadline: None
) -> None:
    """One lets others run after many reads; another reads the rest meanwhile, and is back for more."""
    async with mq.Pull(read_size=100) as pull, raw_peer(pull.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PUSH")
        for ticks in [0, 1, 2, 3] * 10:
            received: list[list[bytes]] = []

            async def receive(ticks: int, count: int, received: list[list[bytes]] = received) -> None:
                for _ in range(ticks):
                    await trio.lowlevel.checkpoint()
                for _ in range(count):
                    received.append(await pull.receive_multipart())

            messages = [[b"%d" % number * 90] * 30 for number in range(3)]
            await raw.say(multipart(*messages[0]))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive, 0, 1)
                nursery.start_soon(receive, ticks, 2)
                await wait_all_tasks_blocked()
                for message in messages[1:]:
                    await raw.say(multipart(*message))
            assert received == messages


@pytest.mark.parametrize(("kind", "peer"), [(mq.Pull, b"PUSH"), (mq.Router, b"DEALER"), (mq.Dealer, b"DEALER")])
async def test_who_does_not_wait_gets_what_there_was_no_room_for(
    wire_endpoint: str, kind: type[mq.Pull | mq.Router | mq.Dealer], peer: bytes, deadline: None
) -> None:
    async with kind(receive_hwm=1) as socket, raw_peer(socket.bind(wire_endpoint)) as raw:
        await raw.shake_hands(peer)
        await raw.say(frame(b"whose receiver reads the next by itself"))
        *name, _ = await socket.receive_multipart()
        await raw.say(frame(b"0") + frame(b"1"))
        assert await socket.receive_multipart() == [*name, b"0"]
        assert socket.receive_multipart_nowait() == [*name, b"1"]
