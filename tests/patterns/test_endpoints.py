"""How do sockets come to an endpoint and leave it? bind, connect, unbind, disconnect, in any order."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import mq

from ..conftest import married, until
from .meeting import another, numbered, receive_all, reserved


async def test_connect_may_come_before_bind(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Push() as push, mq.Pull() as pull:
        push.connect(address)
        await push.send(b"before bind")
        assert pull.bind(address) == address
        assert await pull.receive() == b"before bind"


async def test_one_socket_binds_and_connects_to_several_endpoints(
    tmp_path: Any, deadline: None
) -> None:
    async with mq.Pull() as pull, mq.Push() as one, mq.Push() as two, mq.Push() as three:
        one.connect(pull.bind("tcp://127.0.0.1:*"))
        two.connect(pull.bind(f"ipc://{tmp_path}/socket"))
        pull.connect(three.bind("inproc://the-other-way"))
        for push in (one, two, three):
            await push.send(b"hello")
        assert await receive_all(pull, 3) == [b"hello"] * 3
        assert {peer.endpoint.partition(":")[0] for peer in pull.statistics().peers} == {"tcp", "ipc", "inproc"}


async def test_two_connections_to_one_endpoint_are_two_peers(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as push:
        address = pull.bind(endpoint)
        push.connect(address)
        push.connect(address)
        await pull.wait_connected(2)
        push.disconnect(address)
        await until(lambda: len(pull.statistics().peers) == 1)
        await push.send(b"one is left")
        assert await pull.receive() == b"one is left"


async def test_a_disconnected_peer_gets_what_was_sent_and_nothing_more(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as push:
        address = pull.bind(endpoint)
        push.connect(address)
        for message in numbered(500):
            await push.send(message)
        push.disconnect(address)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"to nobody")
        assert await receive_all(pull, 500) == numbered(500)
        await until(lambda: not pull.statistics().peers)


async def test_disconnecting_from_an_endpoint_that_never_answered_drops_after_linger(
    endpoint: str, deadline: None
) -> None:
    address = await reserved(endpoint)
    async with mq.Push(linger=0) as push:
        push.connect(address)
        await push.send(b"lost")
        push.disconnect(address)
        await until(lambda: sum(push.statistics().dropped.values()) == 1)
        assert not push.statistics().peers


async def test_disconnect_and_connect_again(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as push:
        address = pull.bind(endpoint)
        for message in numbered(20):
            push.connect(address)
            await push.send(message)
            assert await pull.receive() == message
            push.disconnect(address)


async def test_unbind_lets_peers_go_and_takes_no_more(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push(reconnect_interval=None, linger=0) as push, mq.Push(linger=0) as late:
        address = pull.bind(endpoint)
        push.connect(address)
        await push.send(b"hello")
        await until(lambda: pull.statistics().queued_in == 1)
        pull.unbind(address)
        await until(lambda: not pull.statistics().peers)
        late.connect(address)
        await late.send(b"too late")
        await until(lambda: not push.statistics().peers)
        assert not late.statistics().peers[0].connected


async def test_what_was_received_over_a_wire_stays_readable_after_unbind(
    wire_endpoint: str, deadline: None
) -> None:
    async with married(mq.Pull(), mq.Push(), wire_endpoint) as (pull, push):
        for message in numbered(20):
            await push.send(message)
        await until(lambda: pull.statistics().queued_in == 20)
        pull.unbind(pull.statistics().peers[0].endpoint)
        await until(lambda: not pull.statistics().peers)
        assert await receive_all(pull, 20) == numbered(20)


async def test_unbind_flushes_to_the_peers_it_lets_go(endpoint: str, deadline: None) -> None:
    async with mq.Push() as push, mq.Pull() as pull:
        address = push.bind(endpoint)
        pull.connect(address)
        await push.wait_connected()
        for message in numbered(500):
            await push.send(message)
        push.unbind(address)
        assert await receive_all(pull, 500) == numbered(500)


async def test_a_name_that_was_unbound_can_be_bound_again_at_once(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as first, mq.Pull() as second, mq.Push() as push:
        address = first.bind(endpoint)
        for _ in range(5):
            first.unbind(address)
            assert second.bind(address) == address
            second.unbind(address)
            assert first.bind(address) == address
        push.connect(address)
        await push.send(b"hello")
        assert await first.receive() == b"hello"


async def test_peers_of_an_unbound_endpoint_come_to_the_next_who_binds_it(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as first, mq.Pull() as second, mq.Push(reconnect_interval=0.01) as push:
        address = first.bind(endpoint)
        push.connect(address)
        await push.send(b"first")
        assert await first.receive() == b"first"
        first.unbind(address)
        second.bind(address)
        await until(lambda: len(second.statistics().peers) == 1)
        await push.wait_connected()
        await push.send(b"second")
        assert await second.receive() == b"second"


@pytest.mark.parametrize("undo", ["unbind", "disconnect"])
async def test_undoing_what_was_not_done_lists_what_was(undo: str, endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull:
        with pytest.raises(mq.InvalidEndpoint, match=r"'tcp://127\.0\.0\.1:1'.* nothing"):
            getattr(pull, undo)("tcp://127.0.0.1:1")
        bound = pull.bind(endpoint)
        pull.connect("inproc://connected")
        mine, other = (bound, "inproc://connected") if undo == "unbind" else ("inproc://connected", bound)
        with pytest.raises(mq.InvalidEndpoint) as caught:
            getattr(pull, undo)(other)
        assert repr(other) in str(caught.value)
        assert mine in str(caught.value)
        getattr(pull, undo)(mine)
        with pytest.raises(mq.InvalidEndpoint):
            getattr(pull, undo)(mine)


async def test_the_second_to_bind_an_endpoint_is_told_that_it_is_in_use(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as first, mq.Pull() as second, mq.Push() as push:
        address = first.bind(endpoint)
        with pytest.raises(mq.BindError) as caught:
            second.bind(address)
        assert address in str(caught.value)
        assert isinstance(caught.value, OSError)
        push.connect(address)
        await push.send(b"the first still has it")
        assert await first.receive() == b"the first still has it"


async def test_reconnect_interval_none_never_reconnects(endpoint: str, deadline: None) -> None:
    async with mq.Push(reconnect_interval=None, linger=0) as push:
        async with mq.Pull() as pull:
            address = pull.bind(endpoint)
            push.connect(address)
            await push.wait_connected()
        await until(lambda: not push.statistics().peers)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"to nobody")


async def test_one_socket_at_two_endpoints_loses_only_the_one_it_leaves(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as one, mq.Pull() as two, mq.Push() as push:
        push.connect(one.bind(endpoint))
        address = two.bind(another(endpoint))
        push.connect(address)
        await push.wait_connected(2)
        push.disconnect(address)
        for message in numbered(10):
            await push.send(message)
        assert await receive_all(one, 10) == numbered(10)
        with pytest.raises(trio.WouldBlock):
            two.receive_nowait()
