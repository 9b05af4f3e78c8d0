"""What survives when a connection is lost? Messages whole and in order, and the will to connect again."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import mq

from ..conftest import married, next_event, until
from ..protocols.wire import frame
from .raw import Raw, raw_server

SOON: dict[str, Any] = {"reconnect_interval": 0.005, "reconnect_interval_max": 0.02}


async def reserved(endpoint: str) -> str:
    """Return an address to bind later: what ``endpoint`` resolves to now."""
    async with mq.Pull() as pull:
        return pull.bind(endpoint)


async def test_what_waits_for_a_peer_survives_its_restart(endpoint: str, deadline: None) -> None:
    async with mq.Push(**SOON) as push, push.monitor() as events:
        async with mq.Pull() as pull:
            endpoint = pull.bind(endpoint)
            push.connect(endpoint)
            await push.send(b"before")
            assert await pull.receive() == b"before"
        await next_event(events, mq.Disconnected)
        for number in range(500):
            await push.send(b"%d" % number)
        async with mq.Pull() as pull:
            pull.bind(endpoint)
            for number in range(500):
                assert await pull.receive() == b"%d" % number
            await push.send(b"after")
            assert await pull.receive() == b"after"
        assert push.statistics().reconnects == 1
        assert push.statistics().dropped == {}


async def test_a_peer_may_come_and_go_many_times(endpoint: str, deadline: None) -> None:
    async with mq.Push(**SOON) as push, push.monitor() as events:
        endpoint = await reserved(endpoint)
        push.connect(endpoint)
        for number in range(10):
            await push.send(b"%d" % number)
            async with mq.Pull() as pull:
                pull.bind(endpoint)
                assert await pull.receive() == b"%d" % number
            await next_event(events, mq.Disconnected)
        assert push.statistics().reconnects == 9


async def test_both_directions_of_a_pair_survive(endpoint: str, deadline: None) -> None:
    async with mq.Pair(**SOON) as stays, stays.monitor() as events:
        endpoint = await reserved(endpoint)
        stays.connect(endpoint)
        for _ in range(3):
            async with mq.Pair() as leaves:
                leaves.bind(endpoint)
                await leaves.send(b"to you")
                await stays.send(b"to me")
                assert await leaves.receive() == b"to me"
            await next_event(events, mq.Disconnected)
            assert await stays.receive() == b"to you"


# -- pauses ------------------------------------------------------------------------------------------------


async def pauses(events: Any, count: int) -> list[float]:
    """Return the next pauses that a monitor tells of."""
    return [(await next_event(events, mq.ConnectRetried)).delay for _ in range(count)]


def assert_doubling(delays: list[float], interval: float, longest: float) -> None:
    for number, delay in enumerate(delays):
        nominal = min(longest, interval * 2**number)
        assert nominal / 2 <= delay <= nominal


async def test_pauses_double_up_to_the_longest(wire_endpoint: str, deadline: None) -> None:
    push = mq.Push(reconnect_interval=0.001, reconnect_interval_max=0.016)
    async with push, push.monitor() as events:
        push.connect(await reserved(wire_endpoint))
        assert_doubling(await pauses(events, 12), 0.001, 0.016)


async def test_pauses_are_never_the_same_for_all(wire_endpoint: str, deadline: None) -> None:
    push = mq.Push(reconnect_interval=0.001, reconnect_interval_max=0.002)
    async with push, push.monitor() as events:
        push.connect(await reserved(wire_endpoint))
        delays = (await pauses(events, 20))[1:]
        assert len(set(delays)) > 10
        assert max(delays) - min(delays) > 0.0001


async def test_a_longest_pause_below_the_first_counts_for_nothing(wire_endpoint: str, deadline: None) -> None:
    push = mq.Push(reconnect_interval=0.004, reconnect_interval_max=0.001)
    async with push, push.monitor() as events:
        push.connect(await reserved(wire_endpoint))
        assert_doubling(await pauses(events, 4), 0.004, 0.004)


async def test_failed_handshakes_make_pauses_grow_too(wire_endpoint: str, deadline: None) -> None:
    async def refuse(raw: Raw) -> None:
        await raw.say(b"no")
        await raw.hear_end()

    push = mq.Push(reconnect_interval=0.001, reconnect_interval_max=1)
    async with push, push.monitor() as events, raw_server(wire_endpoint, refuse) as endpoint:
        push.connect(endpoint)
        assert_doubling(await pauses(events, 6), 0.001, 1)


async def test_pauses_begin_anew_after_a_handshake(wire_endpoint: str, deadline: None) -> None:
    async def welcome_and_leave(raw: Raw) -> None:
        await raw.shake_hands(b"PULL")

    push = mq.Push(reconnect_interval=0.001, reconnect_interval_max=1)
    async with push, push.monitor() as events:
        endpoint = await reserved(wire_endpoint)
        push.connect(endpoint)
        assert_doubling(await pauses(events, 5), 0.001, 1)
        async with raw_server(endpoint, welcome_and_leave):
            await next_event(events, mq.Disconnected)
            assert_doubling(await pauses(events, 1), 0.001, 1)


async def test_without_jitter_pauses_double_exactly(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    push = mq.Push(reconnect_jitter=0, reconnect_interval=0.1, reconnect_interval_max=3.2)
    async with push, push.monitor() as events:
        push.connect(f"ipc://{tmp_path}/nobody")
        start = trio.current_time()
        delays = await pauses(events, 8)
        assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2, 3.2]
        assert trio.current_time() - start == pytest.approx(sum(delays[:-1]))


@pytest.mark.parametrize("jitter", [0.1, 1.0])
async def test_jitter_is_the_share_by_which_a_pause_may_be_cut(
    jitter: float, autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    push = mq.Push(reconnect_jitter=jitter, reconnect_interval=1, reconnect_interval_max=1)
    async with push, push.monitor() as events:
        push.connect(f"ipc://{tmp_path}/nobody")
        delays = await pauses(events, 200)
    assert 1 - jitter <= min(delays) < 1 - jitter * 0.8
    assert 1 - jitter * 0.2 < max(delays) <= 1


# -- giving up ---------------------------------------------------------------------------------------------


async def kinds_until_closed(events: Any) -> list[str]:
    """Return the kinds of events up to the only one that says that the endpoint is closed."""
    kinds = []
    async for event in events:
        kinds.append(type(event).__name__)
        if isinstance(event, mq.Closed):
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.WouldBlock):
                events.receive_nowait()
            return kinds
    raise AssertionError(kinds)


async def test_a_refusal_may_be_the_end(wire_endpoint: str, deadline: None) -> None:
    async with mq.Push(**SOON, reconnect_stop={"refused"}) as push, push.monitor() as events:
        push.connect(await reserved(wire_endpoint))
        assert await kinds_until_closed(events) == ["ConnectDelayed", "Closed"]
        assert not push.statistics().peers


async def test_a_failed_handshake_may_be_the_end(endpoint: str, deadline: None) -> None:
    async with mq.Push() as bound, mq.Push(**SOON, reconnect_stop={"handshake"}) as push, push.monitor() as events:
        push.connect(bound.bind(endpoint))
        kinds = await kinds_until_closed(events)
        assert kinds[-2:] == ["HandshakeFailed", "Closed"]
        assert "ConnectRetried" not in kinds


async def test_the_end_of_a_connection_may_be_the_end(endpoint: str, deadline: None) -> None:
    async with mq.Push(**SOON, reconnect_stop={"disconnect"}) as push, push.monitor() as events:
        async with mq.Pull() as pull:
            push.connect(pull.bind(endpoint))
            await push.wait_connected()
        kinds = await kinds_until_closed(events)
        assert kinds[-2:] == ["Disconnected", "Closed"]
        assert "ConnectRetried" not in kinds


async def test_another_end_than_those_named_is_not_the_last(wire_endpoint: str, deadline: None) -> None:
    push = mq.Push(**SOON, reconnect_stop={"handshake", "disconnect"})
    async with push, push.monitor() as events:
        endpoint = await reserved(wire_endpoint)
        push.connect(endpoint)
        await pauses(events, 3)
        async with mq.Pull() as pull:
            pull.bind(endpoint)
            await push.wait_connected()
        kinds = await kinds_until_closed(events)
        assert kinds[-2:] == ["Disconnected", "Closed"]


async def test_what_was_sent_to_an_endpoint_that_is_given_up_is_counted(wire_endpoint: str, deadline: None) -> None:
    async with mq.Push(**SOON, reconnect_stop={"refused"}) as push, push.monitor() as events:
        push.connect(await reserved(wire_endpoint))
        await push.send(b"to nobody")
        await next_event(events, mq.Closed)
        assert sum(push.statistics().dropped.values()) == 1


async def test_without_an_interval_a_lost_connection_stays_lost(endpoint: str, deadline: None) -> None:
    async with mq.Push(reconnect_interval=None) as push, push.monitor() as events:
        async with mq.Pull() as pull:
            endpoint = pull.bind(endpoint)
            push.connect(endpoint)
            await push.wait_connected()
        await next_event(events, mq.Disconnected)
        assert await kinds_until_closed(events) == ["Closed"]


# -- half-written ------------------------------------------------------------------------------------------

LARGE = bytes(range(256)) * (128 * 1024)
"""Much more than the kernel takes from a peer that reads nothing."""


@asynccontextmanager
async def deaf_server(endpoint: str) -> AsyncIterator[tuple[str, trio.Event, trio.Event]]:
    """A PULL that hears one message and the start of the next, says so, and leaves when told to."""
    begun, leave = trio.Event(), trio.Event()

    async def serve(raw: Raw) -> None:
        await raw.shake_hands(b"PULL")
        assert await raw.hear_frame() == (0, b"first")
        await raw.hear(100)
        begun.set()
        await leave.wait()

    async with raw_server(endpoint, serve) as bound:
        yield bound, begun, leave


@pytest.mark.parametrize("frames", [[LARGE], [b"head", LARGE, b"tail"], [LARGE, b"tail"]], ids=["one", "3", "2"])
async def test_a_message_that_was_half_written_is_written_whole_to_the_next_peer(
    wire_endpoint: str, frames: list[bytes], deadline: None
) -> None:
    async with mq.Push(**SOON) as push, push.monitor() as events:
        async with deaf_server(wire_endpoint) as (endpoint, begun, leave):
            push.connect(endpoint)
            await push.send(b"first")
            await push.send_multipart(frames)
            for number in range(100):
                await push.send(b"%d" % number)
            await begun.wait()
            leave.set()
            await next_event(events, mq.Disconnected)
        async with mq.Pull() as pull:
            pull.bind(endpoint)
            assert await pull.receive_multipart() == frames
            for number in range(100):
                assert await pull.receive() == b"%d" % number
        assert push.statistics().dropped == {}


async def test_of_many_messages_none_is_cut_and_the_rest_comes_in_order(
    wire_endpoint: str, deadline: None
) -> None:
    count, heard = 3000, []
    bodies = [b"%d " % number + bytes(random.Random(number).randrange(20_000)) for number in range(count)]

    async def serve(raw: Raw) -> None:
        await raw.shake_hands(b"PULL")
        for _ in range(50):
            heard.append(await raw.hear_frame())

    async with mq.Push(**SOON, send_hwm=0) as push, push.monitor() as events:
        async with raw_server(wire_endpoint, serve) as endpoint:
            push.connect(endpoint)
            for body in bodies:
                await push.send(body)
            await next_event(events, mq.Disconnected)
        assert [body for _, body in heard[:50]] == bodies[:50]
        async with mq.Pull() as pull:
            pull.bind(endpoint)
            first = await pull.receive()
            start = int(first.split()[0])
            assert start >= 50
            assert [first, *[await pull.receive() for _ in range(count - start - 1)]] == bodies[start:]


# -- order -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_messages_keep_their_order_written_at_once_or_in_batches(
    endpoint: str, seed: int, deadline: None
) -> None:
    chance = random.Random(seed)
    sizes = [0, 10, 10, 300, 40_000, 300_000]
    count = 600
    one, other = mq.Pair(send_hwm=chance.choice([1, 10, 1000])), mq.Pair(receive_hwm=chance.choice([1, 10, 1000]))

    async def send(sender: mq.Pair, moods: random.Random) -> None:
        for number in range(count):
            body = b"%d " % number + bytes(moods.choice(sizes))
            if moods.random() < 0.2:
                await sender.send_multipart([body, b"tail"])
            else:
                await sender.send(body)
            if moods.random() < 0.3:
                await trio.lowlevel.checkpoint()
            if moods.random() < 0.02:
                await trio.testing.wait_all_tasks_blocked()

    async def receive(receiver: mq.Pair) -> None:
        for number in range(count):
            body, *tail = await receiver.receive_multipart()
            assert int(body.split(b" ")[0]) == number
            assert tail in ([], [b"tail"])

    async with married(one, other, endpoint), trio.open_nursery() as nursery:
        nursery.start_soon(send, one, random.Random(chance.random()))
        nursery.start_soon(send, other, random.Random(chance.random()))
        nursery.start_soon(receive, one)
        nursery.start_soon(receive, other)


async def test_a_frame_that_the_kernel_takes_bit_by_bit_arrives_whole(wire_endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), wire_endpoint) as (pull, push):
        sent = [bytes([number]) * (3_000_000 + number) for number in range(5)]
        for body in sent:
            await push.send(body)
        await until(lambda: push.statistics().bytes_out > 0)
        assert [await pull.receive() for _ in sent] == sent


async def test_leaving_the_block_flushes_what_a_slow_peer_has_yet_to_take(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull:
        async with mq.Push() as push:
            push.connect(pull.bind(wire_endpoint))
            await push.wait_connected()
            await push.send(LARGE)
            await push.send(b"last")
        assert await pull.receive() == LARGE
        assert await pull.receive() == b"last"


async def test_frames_on_the_wire_are_those_of_the_messages_sent(wire_endpoint: str, deadline: None) -> None:
    said: list[bytes] = []
    done = trio.Event()

    async def serve(raw: Raw) -> None:
        await raw.shake_hands(b"PULL")
        said.append(await raw.hear(sum(map(len, expected))))
        done.set()

    bodies = [b"a", b"", b"b" * 300, b"c" * 40_000]
    expected = [frame(body) for body in bodies]
    async with mq.Push() as push, raw_server(wire_endpoint, serve) as endpoint:
        push.connect(endpoint)
        for body in bodies:
            await push.send(body)
        await done.wait()
    assert said == [b"".join(expected)]
