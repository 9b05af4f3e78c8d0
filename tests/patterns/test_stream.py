"""Does STREAM speak with peers that know nothing of ZeroMQ? Bytes, pieces, ends, and ZMTP said by hand."""

from __future__ import annotations

import math
import random
import urllib.request
from contextlib import suppress
from typing import Any

import pytest
import trio
import zmq
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import next_event, until
from ..interop.libzmq import libzmq
from ..links.raw import Raw, raw_peer, raw_server
from ..protocols.wire import frame, greeting, ready
from .meeting import HUGE, reserved


async def hear(stream: mq.Stream, size: int) -> bytes:
    """Receive until as many bytes are together, whoever they are from."""
    heard = bytearray()
    while len(heard) < size:
        heard += (await stream.receive_multipart())[1]
    assert len(heard) == size
    return bytes(heard)


async def hear_all(raw: Raw) -> bytes:
    """Read to the end, of which there is much."""
    pieces = []
    while data := await raw.stream.receive_some(1_000_000):
        pieces.append(data)
    return b"".join(pieces)


async def test_bytes_go_back_and_forth_and_comings_and_goings_are_told(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream() as stream:
        async with raw_peer(stream.bind(wire_endpoint)) as raw:
            name, nothing = await stream.receive_multipart()
            assert (len(name), name[0], nothing) == (5, 0, b"")
            for word in (b"one", b"\x00\xff", b"x" * 1000):
                await raw.say(word)
                assert await hear(stream, len(word)) == word
                await stream.send_multipart([name, word])
                assert await raw.hear(len(word)) == word
            await raw.say(b"last words")
        assert await stream.receive_multipart() == [name, b"last words"]
        assert await stream.receive_multipart() == [name, b""]
        with pytest.raises(mq.Unroutable, match="no peers are known"):
            await stream.send_multipart([name, b"too late"])
        assert stream.statistics().dropped == {}


async def test_without_stream_notify_only_bytes_are_received(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream(stream_notify=False) as stream, stream.monitor() as events:
        async with raw_peer(stream.bind(wire_endpoint)) as raw:
            await raw.say(b"hello")
            name, data = await stream.receive_multipart()
            assert data == b"hello"
            await stream.send_multipart([name, b"hi"])
            assert await raw.hear(2) == b"hi"
        await next_event(events, mq.Disconnected)
        with pytest.raises(trio.WouldBlock):
            stream.receive_multipart_nowait()


async def test_each_connection_has_its_own_name(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream() as stream, trio.open_nursery() as nursery:
        address = stream.bind(wire_endpoint)

        async def echo(word: bytes) -> None:
            async with raw_peer(address) as raw:
                await raw.say(word)
                assert await raw.hear_end() == word

        words = [bytes([letter]) * 100 for letter in range(20)]
        for word in words:
            nursery.start_soon(echo, word)
        names = {}
        while len(names) < 20:
            name, data = await stream.receive_multipart()
            if data:
                names[name] = data
                await stream.send_multipart([name, data])
                await stream.send_multipart([name, b""])
        assert sorted(names.values()) == words


async def test_an_empty_message_closes_when_all_before_it_is_flushed(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream() as stream, stream.monitor() as events:
        async with raw_peer(stream.bind(wire_endpoint)) as raw:
            name, _ = await stream.receive_multipart()
            await stream.send_multipart([name, HUGE])
            await stream.send_multipart([name, b"the end"])
            await stream.send_multipart([name, b""])
            with pytest.raises(mq.Unroutable):
                await stream.send_multipart([name, b"more"])
            with pytest.raises(mq.Unroutable):
                stream.send_multipart_nowait([name, b""])
            assert await hear_all(raw) == HUGE + b"the end"
            assert (await next_event(events, mq.Disconnected)).reason == "closed here"
        with pytest.raises(trio.WouldBlock):  # no notice of one's own doing
            stream.receive_multipart_nowait()
        assert stream.statistics().dropped == {}


async def test_closing_a_connection_that_takes_nothing_ends_with_linger(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream(linger=0.05) as stream, stream.monitor() as events:
        async with raw_peer(stream.bind(wire_endpoint)):
            name, _ = await stream.receive_multipart()
            await stream.send_multipart([name, HUGE])
            await stream.send_multipart([name, b""])
            await next_event(events, mq.Disconnected)
        assert stream.statistics().dropped == {"the connection ended": 1}


async def test_a_socket_that_closes_takes_over_what_is_being_flushed(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream(linger=math.inf) as stream, raw_peer(stream.bind(wire_endpoint)) as raw:
        name, _ = await stream.receive_multipart()
        await stream.send_multipart([name, HUGE])
        await stream.send_multipart([name, b""])
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def read_late() -> None:
                await wait_all_tasks_blocked(0.01)
                assert await hear_all(raw) == HUGE

            await stream.aclose()


async def test_a_connection_can_be_closed_while_what_it_brought_is_not_received(
    wire_endpoint: str, deadline: None
) -> None:
    stream = mq.Stream(receive_hwm=1)
    async with stream, stream.monitor() as events, raw_peer(stream.bind(wire_endpoint)) as raw:
        name, _ = await stream.receive_multipart()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def say() -> None:
                with suppress(trio.BrokenResourceError):
                    await raw.say(HUGE)

            await wait_all_tasks_blocked(0.02)
            await stream.send_multipart([name, b""])
            assert (await next_event(events, mq.Disconnected)).reason == "closed here"
        got = stream.statistics().bytes_in
        assert 0 < got < len(HUGE)
        assert len(await hear(stream, got)) == got


async def test_large_data_comes_in_pieces_and_in_order(wire_endpoint: str, deadline: None) -> None:
    data = random.Random(5).randbytes(8 * 1024 * 1024)
    async with mq.Stream(stream_notify=False) as stream, raw_peer(stream.bind(wire_endpoint)) as raw:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raw.say, data)
            heard = bytearray()
            name = b""
            while len(heard) < len(data):
                name, piece = await stream.receive_multipart()
                heard += piece
            assert heard == data
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                for start in range(0, len(data), 100_000):
                    await stream.send_multipart([name, data[start : start + 100_000]])

            assert await raw.hear(len(data)) == data


async def test_a_peer_that_reads_nothing_holds_up_its_own_sender_only(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream(send_hwm=1, linger=0) as stream:
        address = stream.bind(wire_endpoint)
        async with raw_peer(address), raw_peer(address) as quick:
            names = {(await stream.receive_multipart())[0] for _ in range(2)}
            await quick.say(b"me")
            quick_name, _ = await stream.receive_multipart()
            [slow_name] = names - {quick_name}
            with suppress(trio.WouldBlock):
                while True:
                    stream.send_multipart_nowait([slow_name, HUGE])
            with trio.move_on_after(0) as scope:
                await stream.send_multipart([slow_name, HUGE])
            assert scope.cancelled_caught
            for number in range(50):
                await stream.send_multipart([quick_name, b"%02d" % number])
                assert await quick.hear(2) == b"%02d" % number
            assert stream.statistics().queued_out <= 2


async def test_what_is_not_received_stops_its_sender(wire_endpoint: str, deadline: None) -> None:
    options: Any = {"receive_hwm": 2, "stream_notify": False}
    async with (
        mq.Stream(**options) as stream,
        raw_peer(stream.bind(wire_endpoint)) as raw,
        trio.open_nursery() as nursery,
    ):
        said = trio.Event()

        @nursery.start_soon
        async def say() -> None:
            await raw.say(HUGE)
            said.set()

        await wait_all_tasks_blocked(0.05)
        assert not said.is_set()
        assert stream.statistics().queued_in <= 2
        assert await hear(stream, len(HUGE)) == HUGE


async def test_only_two_frames_can_be_sent(wire_endpoint: str) -> None:
    async with mq.Stream() as stream:
        with pytest.raises(ValueError, match=r"two frames, \[routing_id, data\], got 1"):
            await stream.send(b"alone")
        with pytest.raises(ValueError, match="got 3"):
            await stream.send_multipart([b"1", b"2", b"3"])
        with pytest.raises(ValueError, match="got 1"):
            stream.send_nowait(b"alone")
        with pytest.raises(mq.Unroutable):
            await stream.send_multipart([b"unknown", b"data"])
        with pytest.raises(mq.Unroutable):
            await stream.send_multipart([b"unknown", b""])


@pytest.mark.parametrize("how", ["bind", "connect"])
async def test_inproc_has_no_bytes_to_speak_in(how: str) -> None:
    async with mq.Stream() as stream:
        with pytest.raises(mq.InvalidEndpoint, match="tcp or ipc"):
            getattr(stream, how)("inproc://somewhere")


# -- connecting --------------------------------------------------------------------------------------------


async def test_a_stream_that_connects_may_name_the_connection_and_send_at_once(
    wire_endpoint: str, deadline: None
) -> None:
    address = await reserved(wire_endpoint)
    async with mq.Stream(reconnect_interval=0.01) as client, mq.Stream() as server:
        client.connect(address, routing_id=b"server")
        with pytest.raises(ValueError, match="taken"):
            client.connect(address, routing_id=b"server")
        await client.send_multipart([b"server", b"early"])
        server.bind(address)
        name, nothing = await server.receive_multipart()
        assert nothing == b""
        assert await server.receive_multipart() == [name, b"early"]
        assert await client.receive_multipart() == [b"server", b""]
        await server.send_multipart([name, b"reply"])
        assert await client.receive_multipart() == [b"server", b"reply"]
        # The server ends the connection: the client is told, and told again when it is back, by the same name.
        await server.send_multipart([name, b""])
        assert await client.receive_multipart() == [b"server", b""]
        assert await client.receive_multipart() == [b"server", b""]
        again, _ = await server.receive_multipart()
        assert again != name
        await client.send_multipart([b"server", b"once more"])
        assert await server.receive_multipart() == [again, b"once more"]


async def test_to_close_a_connection_that_one_has_made_is_for_good(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream() as server, mq.Stream(reconnect_interval=0.01) as client, client.monitor() as events:
        client.connect(server.bind(wire_endpoint))
        name, _ = await client.receive_multipart()
        await client.send_multipart([name, b"goodbye"])
        await client.send_multipart([name, b""])
        await next_event(events, mq.Closed)
        assert client.statistics().peers == ()
        theirs, _ = await server.receive_multipart()
        assert [await server.receive_multipart() for _ in range(2)] == [[theirs, b"goodbye"], [theirs, b""]]


# -- other protocols ---------------------------------------------------------------------------------------


async def test_zmtp_by_hand_to_libzmq(wire_endpoint: str, deadline: None) -> None:
    async with libzmq(zmq.DEALER) as theirs, mq.Stream(stream_notify=False) as stream:
        theirs.connect(stream.bind(wire_endpoint))
        name, heard = await stream.receive_multipart()
        await stream.send_multipart([name, greeting()])
        while len(heard) < 64:
            heard += (await stream.receive_multipart())[1]
        assert heard[:10] == greeting()[:10]
        await stream.send_multipart([name, ready(Socket_Type=b"DEALER", Identity=b"")])
        await stream.send_multipart([name, frame(b"by hand")])
        assert await theirs.receive() == [[b"by hand"]]
        await theirs.send([b"answer"])
        while not heard.endswith(frame(b"answer")):
            heard += (await stream.receive_multipart())[1]
        assert b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER" in heard


async def test_zmtp_by_hand_to_our_own_dealer_and_one_that_is_silent_is_dropped(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Dealer(handshake_timeout=0.05) as dealer, mq.Stream() as stream, dealer.monitor() as events:
        stream.connect(dealer.bind(wire_endpoint), routing_id=b"silent")
        failed = await next_event(events, mq.HandshakeFailed)
        assert "no complete handshake within 0.05 s" in failed.reason
        assert await stream.receive_multipart() == [b"silent", b""]


async def test_an_http_client_gets_its_page(deadline: None) -> None:
    async with mq.Stream(stream_notify=False) as stream, trio.open_nursery() as nursery:
        address = stream.bind("tcp://127.0.0.1:*")

        @nursery.start_soon
        async def serve() -> None:
            requests: dict[bytes, bytes] = {}
            while True:
                name, data = await stream.receive_multipart()
                requests[name] = requests.get(name, b"") + data
                if requests[name].endswith(b"\r\n\r\n"):
                    path = requests.pop(name).split()[1]
                    page = b"<p>You asked for " + path + b"</p>" + bytes(100_000)
                    head = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page)
                    await stream.send_multipart([name, head + page])
                    await stream.send_multipart([name, b""])

        def fetch(path: str) -> bytes:
            with urllib.request.urlopen(address.replace("tcp", "http") + path, timeout=20) as response:
                return response.read()  # type: ignore[no-any-return]

        for path in ("/", "/news"):
            page = await trio.to_thread.run_sync(fetch, path)
            assert page.startswith(b"<p>You asked for %s</p>" % path.encode())
            assert len(page) > 100_000
        nursery.cancel_scope.cancel()


async def test_a_stream_asks_a_server_that_is_no_zeromq(wire_endpoint: str, deadline: None) -> None:
    async def serve(raw: Raw) -> None:
        assert await raw.hear(5) == b"hello"
        await raw.say(b"welcome")

    async with raw_server(wire_endpoint, serve) as address, mq.Stream(reconnect_interval=None) as stream:
        stream.connect(address, routing_id=b"server")
        await stream.send_multipart([b"server", b"hello"])
        assert await stream.receive_multipart() == [b"server", b""]
        assert await hear(stream, 7) == b"welcome"
        assert await stream.receive_multipart() == [b"server", b""]
        await until(lambda: stream.statistics().peers == ())


async def test_streams_of_libzmq_and_ours_meet(deadline: None) -> None:
    async with libzmq(zmq.STREAM) as theirs, mq.Stream() as ours:
        ours.connect(theirs.bind("tcp://127.0.0.1:*"), routing_id=b"theirs")
        [[name, nothing]] = await theirs.receive()
        assert nothing == b""
        assert await ours.receive_multipart() == [b"theirs", b""]
        await theirs.send([name, b"hello"])
        assert await ours.receive_multipart() == [b"theirs", b"hello"]
        await ours.send_multipart([b"theirs", b"hi"])
        assert await theirs.receive() == [[name, b"hi"]]
        await ours.send_multipart([b"theirs", b""])
        assert await theirs.receive() == [[name, b""]]


async def test_cancelled_receives_lose_no_bytes(wire_endpoint: str, deadline: None) -> None:
    data = random.Random(6).randbytes(1_000_000)
    async with mq.Stream(stream_notify=False) as stream, raw_peer(stream.bind(wire_endpoint)) as raw:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def say() -> None:
                for start in range(0, len(data), 10_000):
                    await raw.say(data[start : start + 10_000])
                    await trio.lowlevel.checkpoint()

            heard = b""
            ticks = 0
            while len(heard) < len(data):
                ticks = (ticks + 1) % 5
                with trio.CancelScope() as scope:
                    nursery.start_soon(_cancel_after, scope, ticks)
                    while len(heard) < len(data):
                        heard += (await stream.receive_multipart())[1]
        assert heard == data


async def _cancel_after(scope: trio.CancelScope, ticks: int) -> None:
    for _ in range(ticks):
        await trio.lowlevel.checkpoint()
    scope.cancel()


async def test_many_short_lived_peers_leave_nothing_behind(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream() as stream, trio.open_nursery() as nursery:
        address = stream.bind(wire_endpoint)

        async def come_and_go(number: int) -> None:
            async with raw_peer(address) as raw:
                if number % 3:
                    await raw.say(b"x")

        for number in range(60):
            nursery.start_soon(come_and_go, number)
        seen: dict[bytes, list[bytes]] = {}
        while sum(pieces[1:].count(b"") for pieces in seen.values()) < 60:
            name, data = await stream.receive_multipart()
            seen.setdefault(name, []).append(data)
        assert len(seen) == 60
        assert sorted(map(len, seen.values())) == [2] * 20 + [3] * 40
        await until(lambda: stream.statistics().peers == ())
