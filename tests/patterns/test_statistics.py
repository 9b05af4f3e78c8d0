"""Do the numbers add up? Messages, bytes on the wire, queues, drops and reconnects."""

from __future__ import annotations

import pytest
import trio

import mq

from ..conftest import married, until
from .meeting import HUGE, fill, receive_all, reserved


async def test_messages_count_when_send_accepts_and_receive_returns_them(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        for _ in range(10):
            await push.send(b"hello")
        await until(lambda: pull.statistics().queued_in == 10)
        assert push.statistics().messages_out == 10
        assert pull.statistics().messages_in == 0
        await receive_all(pull, 4)
        pull.receive_nowait()
        assert pull.statistics().messages_in == 5
        assert pull.statistics().queued_in == 5
        assert push.statistics().messages_in == pull.statistics().messages_out == 0


async def test_bytes_are_those_on_the_wire(wire_endpoint: str, deadline: None) -> None:
    quiet = {"heartbeat_interval": None}
    async with married(mq.Pull(**quiet), mq.Push(**quiet), wire_endpoint) as (pull, push):
        before_out, before_in = push.statistics().bytes_out, pull.statistics().bytes_in
        await push.send(b"")  # 2 bytes of header
        await push.send(bytes(255))  # 2 + 255
        await push.send(bytes(256))  # 9 + 256
        await push.send_multipart([b"abc", bytes(1000)])  # 2 + 3, 9 + 1000
        await push.send(bytes(100_000))  # 9 + 100000
        for _ in range(5):
            await pull.receive_multipart()
        expected = 2 + 257 + 265 + 5 + 1009 + 100_009
        await until(lambda: push.statistics().bytes_out - before_out == expected)
        assert pull.statistics().bytes_in - before_in == expected
        (peer,) = push.statistics().peers
        assert (peer.messages_out, peer.messages_in) == (5, 0)
        (peer,) = pull.statistics().peers
        assert (peer.messages_out, peer.messages_in) == (0, 5)


async def test_bytes_of_the_handshake_count(wire_endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), wire_endpoint) as (pull, push):
        greeting, header = 64, 2
        ready = header + len(b"\x05READY" + b"\x0bSocket-Type" + b"\0\0\0\x04PUSH")
        assert push.statistics().bytes_out == pull.statistics().bytes_in == greeting + ready
        assert push.statistics().bytes_in == pull.statistics().bytes_out == greeting + ready


async def test_bytes_and_messages_of_peers_that_have_gone_still_count(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull:
        address = pull.bind(wire_endpoint)
        sent = 0
        for _ in range(3):
            async with mq.Push() as push:
                push.connect(address)
                await push.send(bytes(1000))
                assert await pull.receive() == bytes(1000)
            sent += push.statistics().bytes_out
        await until(lambda: not pull.statistics().peers)
        assert pull.statistics().bytes_in == sent
        assert sent > 3 * 1009
        assert pull.statistics().messages_in == 3


async def test_inproc_moves_no_bytes(deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), "inproc://no-bytes") as (pull, push):
        await push.send(b"hello")
        await pull.receive()
        assert push.statistics().bytes_out == pull.statistics().bytes_in == 0


async def test_queues_are_counted_for_each_peer(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Push(linger=0) as push:
        push.connect(address)
        for _ in range(6):
            await push.send(b"waits")
        statistics = push.statistics()
        (peer,) = statistics.peers
        assert statistics.queued_out == peer.queued_out == 6
        assert not peer.connected
        assert peer.endpoint == address


async def test_a_message_on_its_way_to_the_kernel_is_still_queued(wire_endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(receive_hwm=1), mq.Push(send_hwm=10, linger=0), wire_endpoint) as (pull, push):
        sent = await fill(push, HUGE)
        assert 0 < push.statistics().queued_out <= 10
        assert push.statistics().messages_out == sent
        await receive_all(pull, sent)
        await until(lambda: push.statistics().queued_out == 0)


async def test_reconnects_are_counted_on_the_side_that_connects(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Push(reconnect_interval=0.01, reconnect_interval_max=0.01) as push:
        push.connect(address)
        for expected in range(3):
            async with mq.Pull() as pull:
                pull.bind(address)
                await push.wait_connected()
                assert push.statistics().reconnects == expected
                assert push.statistics().peers[0].connected
            await until(lambda: not push.statistics().peers[0].connected)


async def test_drops_are_counted_by_reason(wire_endpoint: str, deadline: None) -> None:
    async with mq.Push(send_hwm=5) as push:
        address = push.bind(wire_endpoint)
        async with mq.Pull(receive_hwm=1) as pull:
            pull.connect(address)
            await push.wait_connected()
            await fill(push, HUGE)
        await until(lambda: not push.statistics().peers)
        ((reason, count),) = push.statistics().dropped.items()
        assert "the connection ended" in reason
        assert 0 < count <= 5
    assert push.statistics().dropped == {reason: count}


async def test_a_snapshot_does_not_change(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (_, push):
        before = push.statistics()
        await push.send(b"hello")
        assert before.messages_out == 0
        assert push.statistics().messages_out == 1
        with pytest.raises(AttributeError):
            before.messages_out = 2
        with pytest.raises(TypeError):
            before.dropped["reason"] = 1


async def test_statistics_can_be_read_before_opening_and_after_closing(deadline: None) -> None:
    push = mq.Push()
    assert push.statistics().peers == ()
    async with push:
        push.connect("inproc://nobody")
        await push.send(b"hello")
        with trio.CancelScope() as scope:
            scope.cancel()
            await push.aclose()
    assert push.statistics().messages_out == 1
    assert push.statistics().peers == ()
    assert push.statistics().queued_out == 0


async def test_what_peers_that_are_gone_have_left_counts_as_queued(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull:
        address = pull.bind(endpoint)
        for _ in range(2):
            async with mq.Push() as push:
                push.connect(address)
                for _ in range(10):
                    await push.send(b"hello")
        await until(lambda: pull.statistics().messages_in + pull.statistics().queued_in == 20)
        await until(lambda: not pull.statistics().peers)
        assert pull.statistics().queued_in == 20
        await receive_all(pull, 15)
        assert pull.statistics().queued_in == 5
