"""Do the sockets of single frames keep to them? CLIENT, SERVER, PEER, CHANNEL, SCATTER and GATHER."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from ..links.raw import raw_peer
from ..links.test_inproc_threads import together
from ..protocols.wire import frame, multipart
from .meeting import HUGE, another, numbered, receive_all, reserved

LAST_ID = 2**32 - 1


async def test_a_server_answers_each_client_by_its_number(endpoint: str, deadline: None) -> None:
    async with mq.Server() as server, trio.open_nursery() as nursery:
        address = server.bind(endpoint)

        async def ask(name: bytes) -> None:
            async with mq.Client() as client:
                client.connect(address)
                for number in range(20):
                    await client.send(b"%s %d" % (name, number))
                for number in range(20):
                    assert await client.receive() == b"re %s %d" % (name, number)

        for name in (b"a", b"b", b"c"):
            nursery.start_soon(ask, name)
        names: dict[int, set[bytes]] = {}
        for _ in range(60):
            routing_id, body = await server.receive()
            assert 1 <= routing_id <= LAST_ID
            names.setdefault(routing_id, set()).add(body[:1])
            await server.send(b"re " + body, routing_id)
        assert sorted(names.values(), key=sorted) == [{b"a"}, {b"b"}, {b"c"}]
        assert server.statistics().dropped == {}


async def test_clients_share_out_and_take_in_turn(endpoint: str, deadline: None) -> None:
    async with mq.Client() as client, mq.Server() as one, mq.Server() as two:
        client.connect(one.bind(endpoint))
        await client.wait_connected()
        client.connect(two.bind(another(endpoint)))
        await client.wait_connected(2)
        for message in numbered(20):
            await client.send(message)
        for server, messages in ((one, numbered(20)[::2]), (two, numbered(20)[1::2])):
            for message in messages:
                routing_id, body = await server.receive()
                assert body == message
                server.send_nowait(b"", routing_id)
        assert await receive_all(client, 20) == [b""] * 20


async def test_a_server_is_spoken_to_first(endpoint: str, deadline: None) -> None:
    async with married(mq.Server(), mq.Client(), endpoint) as (server, client):
        with pytest.raises(mq.Unroutable, match="Server has no peer with the routing id 0"):
            await server.send(b"", 0)
        with pytest.raises(mq.Unroutable, match="Server has no peer with the routing id 0"):
            server.send_nowait(b"", 0)
        with pytest.raises(trio.WouldBlock):
            server.receive_nowait()
        await client.send(b"first")
        routing_id, _ = await server.receive()
        await server.send(b"then", routing_id)
        assert await client.receive() == b"then"
        await client.aclose()
        await until(lambda: not server.statistics().peers)
        with pytest.raises(mq.Unroutable):
            await server.send(b"", routing_id)


async def test_a_client_that_comes_back_has_another_number(endpoint: str, deadline: None) -> None:
    numbers = set()
    async with mq.Server() as server:
        address = server.bind(endpoint)
        for _ in range(3):
            async with mq.Client() as client:
                client.connect(address)
                await client.send(b"")
                numbers.add((await server.receive())[0])
    assert len(numbers) == 3


@pytest.mark.parametrize("wrong", [b"id", "1", 1.0, True, None])
async def test_a_routing_id_is_an_int(wrong: Any) -> None:
    async with mq.Server() as server:
        with pytest.raises(TypeError, match="a routing id is an int"):
            await server.send(b"", wrong)
        with pytest.raises(TypeError, match="a frame is bytes"):
            await server.send("text", 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [mq.Client, mq.Server, mq.Peer, mq.Channel, mq.Scatter, mq.Gather])
async def test_there_is_no_way_to_send_or_receive_several_frames(kind: Any) -> None:
    socket = kind()
    for name in ("send_multipart", "send_multipart_nowait", "receive_multipart", "receive_multipart_nowait"):
        assert not hasattr(socket, name)


SINGLES: list[tuple[Any, bytes]] = [(mq.Server, b"CLIENT"), (mq.Client, b"SERVER"), (mq.Peer, b"PEER")]
SINGLES += [(mq.Channel, b"CHANNEL"), (mq.Gather, b"SCATTER")]


@pytest.mark.parametrize(("kind", "other"), SINGLES)
async def test_messages_of_several_frames_are_dropped_whole_and_counted(
    wire_endpoint: str, kind: Any, other: bytes, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with kind() as socket, raw_peer(socket.bind(wire_endpoint)) as raw:
        await raw.shake_hands(other)
        await raw.say(multipart(b"a", b"b") + frame(b"one") + multipart(b"", b"", b"c") + frame(b"two"))
        got = [await socket.receive() for _ in range(2)]
        assert [message[1] if isinstance(message, tuple) else message for message in got] == [b"one", b"two"]
        assert socket.statistics().dropped == {f"{socket.socket_type} takes messages of one frame only": 2}
        assert len(socket.statistics().peers) == 1
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith(f"{kind.__name__} dropped a message from ")
    assert said.endswith("takes messages of one frame only; the peer must send each message in one frame")


async def test_a_server_waits_while_the_queue_of_its_client_is_full(wire_endpoint: str, deadline: None) -> None:
    async with married(mq.Server(send_hwm=1), mq.Client(receive_hwm=1), wire_endpoint) as (server, client):
        await client.send(b"")
        routing_id, _ = await server.receive()
        sent = 0
        with suppress(trio.WouldBlock):
            while True:
                server.send_nowait(HUGE, routing_id)
                sent += 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.send, b"patient", routing_id)
            assert await receive_all(client, sent) == [HUGE] * sent
            assert await client.receive() == b"patient"


async def test_iterating_a_server_yields_who_and_what(endpoint: str, deadline: None) -> None:
    async with married(mq.Server(), mq.Client(), endpoint) as (server, client):
        for message in numbered(3):
            await client.send(message)
        got = []
        async for routing_id, body in server:
            got.append(body)
            await server.send(body, routing_id)
            if len(got) == 3:
                break
        assert got == await receive_all(client, 3) == numbered(3)


async def test_hello_disconnect_and_hiccup_messages_of_clients_and_servers(endpoint: str, deadline: None) -> None:
    async with mq.Client(hello_message=b"hello", hiccup_message=b"hiccup", reconnect_interval=0.01) as client:
        async with mq.Server(hello_message=b"welcome", disconnect_message=b"gone") as server:
            address = server.bind(endpoint)
            client.connect(address)
            assert (await server.receive())[1] == b"hello"
            assert await client.receive() == b"welcome"
            async with mq.Client() as other:
                other.connect(address)
                await other.send(b"last words")
            routing_id, body = await server.receive()
            assert body == b"last words"
            assert await server.receive() == (routing_id, b"gone")
        assert await client.receive() == b"hiccup"


# -- PEER --------------------------------------------------------------------------------------------------


async def test_peers_speak_to_whom_they_connect_and_answer_whom_they_hear(endpoint: str, deadline: None) -> None:
    async with mq.Peer() as one, mq.Peer() as two:
        routing_id = one.connect_peer(two.bind(endpoint))
        assert 1 <= routing_id <= LAST_ID
        await one.send(b"hello", routing_id)
        theirs, body = await two.receive()
        assert body == b"hello"
        await two.send(b"welcome", theirs)
        assert await one.receive() == (routing_id, b"welcome")


async def test_messages_wait_for_a_peer_that_is_not_there_and_its_number_stays(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Peer(reconnect_interval=0.01) as one:
        numbers = [one.connect_peer(address), one.connect_peer(address)]
        assert len(set(numbers)) == 2
        for life in numbered(2):
            for number in numbers:
                await one.send(b"%s to %d" % (life, number), number)
            async with mq.Peer() as two:
                two.bind(address)
                heard = [await two.receive() for _ in range(2)]
                assert {body for _, body in heard} == {b"%s to %d" % (life, number) for number in numbers}
                for theirs, body in heard:
                    await two.send(body, theirs)
                for _ in range(2):
                    number, body = await one.receive()
                    assert body == b"%s to %d" % (life, number)
            await until(lambda: not any(peer.connected for peer in one.statistics().peers))


async def test_connect_peer_raises_at_once_and_not_with_immediate() -> None:
    async with mq.Peer() as peer, mq.Peer(immediate=True) as immediate:
        with pytest.raises(mq.InvalidEndpoint):
            peer.connect_peer("tcp://nowhere")
        with pytest.raises(ValueError, match="immediate"):
            immediate.connect_peer("inproc://somewhere")
        assert peer.statistics().peers == immediate.statistics().peers == ()


async def test_a_peer_that_was_disconnected_cannot_be_sent_to(endpoint: str, deadline: None) -> None:
    async with mq.Peer() as one, mq.Peer() as two, two.monitor() as events:
        ours = one.connect_peer(two.bind(endpoint))
        await one.send(b"hello", ours)
        theirs, _ = await two.receive()
        await two.send(b"goodbye", theirs)
        two.disconnect_peer(theirs)
        with pytest.raises(mq.Unroutable):
            await two.send(b"", theirs)
        assert await one.receive() == (ours, b"goodbye")
        await next_event(events, mq.Disconnected)
        await until(lambda: one.statistics().reconnects == 1)
        await one.send(b"again", ours)
        theirs_now, body = await two.receive()
        assert body == b"again"
        assert theirs_now != theirs
        one.disconnect_peer(ours)
        with pytest.raises(mq.Unroutable):
            one.disconnect_peer(ours)
        await until(lambda: not one.statistics().peers)


# -- CHANNEL -----------------------------------------------------------------------------------------------


async def test_a_channel_has_one_peer_at_a_time(endpoint: str, deadline: None) -> None:
    async with mq.Channel() as channel, mq.Channel(reconnect_interval=0.01, reconnect_interval_max=0.01) as second:
        address = channel.bind(endpoint)
        async with mq.Channel() as first:
            first.connect(address)
            for message in numbered(100):
                await first.send(message)
                assert await channel.receive() == message
                await channel.send(message)
                assert await first.receive() == message
            async with channel.monitor() as events:
                second.connect(address)
                assert "one at a time" in (await next_event(events, mq.HandshakeFailed)).reason
        await second.send(b"my turn")
        assert await channel.receive() == b"my turn"


# -- SCATTER and GATHER ------------------------------------------------------------------------------------


async def test_scatter_shares_out_in_turn_and_waits_for_room(endpoint: str, deadline: None) -> None:
    async with mq.Scatter() as scatter, mq.Gather() as one, mq.Gather() as two:
        with pytest.raises(trio.WouldBlock):
            scatter.send_nowait(b"")
        address = scatter.bind(endpoint)
        for gather in (one, two):
            gather.connect(address)
            await gather.wait_connected()
        await scatter.wait_connected(2)
        for message in numbered(100):
            await scatter.send(message)
        got = [await receive_all(gather, 50) for gather in (one, two)]
        assert sorted(got) == sorted([numbered(100)[::2], numbered(100)[1::2]])


async def test_gather_takes_from_its_peers_in_turn(endpoint: str, deadline: None) -> None:
    async with mq.Gather() as gather, mq.Scatter() as one, mq.Scatter() as two:
        address = gather.bind(endpoint)
        for name, scatter in ((b"1", one), (b"2", two)):
            scatter.connect(address)
            for _ in range(10):
                await scatter.send(name)
        await until(lambda: gather.statistics().queued_in == 20)
        assert sorted(await receive_all(gather, 10)) == [b"1"] * 5 + [b"2"] * 5


@pytest.mark.parametrize("kind", [mq.Client, mq.Server, mq.Peer, mq.Channel, mq.Gather])
async def test_closing_ends_who_waits_to_receive(kind: Any, deadline: None) -> None:
    async with kind() as socket, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def wait_in_vain() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await socket.receive()

        await wait_all_tasks_blocked()
        await socket.aclose()
    with pytest.raises(trio.ClosedResourceError):
        socket.receive_nowait()


# -- conflate, in pipelines --------------------------------------------------------------------------------


async def test_a_conflating_push_keeps_the_newest_for_each_peer(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Push(conflate=True) as push, mq.Pull() as pull:
        push.connect(address)
        for message in numbered(20):
            await push.send(message)
        pull.bind(address)
        assert await pull.receive() == b"19"
        assert push.statistics().dropped == {"replaced by a newer one (conflate)": 19}
        with pytest.raises(trio.WouldBlock):
            pull.receive_nowait()


async def test_a_conflating_pull_keeps_the_newest_of_each_peer_whole(endpoint: str, deadline: None) -> None:
    async with mq.Pull(conflate=True) as pull, mq.Push() as one, mq.Push() as two:
        address = pull.bind(endpoint)
        for name, push in ((b"1", one), (b"2", two)):
            push.connect(address)
            for message in numbered(20):
                await push.send_multipart([name, message])
        await until(lambda: sum(pull.statistics().dropped.values()) == 38)
        assert sorted([await pull.receive_multipart() for _ in range(2)]) == [[b"1", b"19"], [b"2", b"19"]]
        with pytest.raises(trio.WouldBlock):
            pull.receive_nowait()


def test_the_newest_message_passes_between_threads_and_none_comes_twice() -> None:
    async def send() -> None:
        async with mq.Push(conflate=True) as push:
            push.connect("inproc://conflated")
            for message in numbered(20_000):
                await push.send(message)

    async def receive() -> None:
        async with mq.Pull() as pull:
            pull.bind("inproc://conflated")
            last = -1
            while last != 19_999:
                number = int(await pull.receive())
                assert number > last
                last = number

    together(send, receive)
