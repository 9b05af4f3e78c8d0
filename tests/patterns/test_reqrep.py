"""Do REQ and REP keep to their order, and each reply to its request? In lockstep, with send and receive."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from .meeting import another, numbered, reserved

UNAWAITED = "replies that nobody waits for"


async def answer(rep: mq.Rep, count: int = 1) -> None:
    """Send each request back, with a prefix."""
    for _ in range(count):
        request = await rep.receive_multipart()
        await rep.send_multipart([b"re", *request])


async def test_a_request_and_its_reply_go_back_and_forth(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(), endpoint) as (rep, req):
        for message in numbered(300):
            await req.send(message)
            assert await rep.receive() == message
            await rep.send(message + b"!")
            assert await req.receive() == message + b"!"
        assert req.statistics().dropped == rep.statistics().dropped == {}


async def test_all_forms_of_send_and_receive_take_turns(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(), endpoint) as (rep, req):
        req.send_nowait(b"one")
        await until(lambda: rep.statistics().queued_in == 1)
        assert rep.receive_nowait() == b"one"
        rep.send_multipart_nowait([b"two", b""])
        await until(lambda: req.statistics().queued_in == 1)
        assert req.receive_multipart_nowait() == [b"two", b""]
        req.send_multipart_nowait([b"", b"three"])
        assert await rep.receive_multipart() == [b"", b"three"]
        rep.send_nowait(b"")
        assert await req.receive() == b""
        await req.send_multipart([b"four", b"five"])
        with pytest.raises(mq.MultipartMessage) as caught:
            await rep.receive()
        assert caught.value.frames == [b"four", b"five"]
        await rep.send_multipart([b"six", b"seven"])
        with pytest.raises(mq.MultipartMessage) as caught:
            await req.receive()
        assert caught.value.frames == [b"six", b"seven"]
        with pytest.raises(trio.WouldBlock):
            rep.receive_nowait()


async def test_req_asks_its_peers_in_turn(endpoint: str, deadline: None) -> None:
    async with mq.Rep() as one, mq.Rep() as two, mq.Req() as req:
        req.connect(one.bind(endpoint))
        await req.wait_connected()
        req.connect(two.bind(another(endpoint)))
        await req.wait_connected(2)
        for _ in range(5):
            for rep in (one, two):
                await req.send(b"")
                assert await rep.receive() == b""
                await rep.send(b"")
                await req.receive()


async def test_rep_takes_requests_from_its_peers_in_turn(endpoint: str, deadline: None) -> None:
    names = [b"a", b"b", b"c"]
    async with mq.Rep() as rep, trio.open_nursery() as nursery:
        address = rep.bind(endpoint)

        async def ask(name: bytes) -> None:
            async with mq.Req() as req:
                req.connect(address)
                for _ in range(10):
                    await req.send(name)
                    assert await req.receive() == name

        for name in names:
            nursery.start_soon(ask, name)
        await rep.wait_connected(3)
        heard = []
        for _ in range(30):
            await until(lambda: rep.statistics().queued_in >= 1)
            heard.append(await rep.receive())
            await wait_all_tasks_blocked(0.001)
            await rep.send(heard[-1])
        assert sorted(heard) == sorted(names * 10)
        for start in range(0, 18, 3):
            assert sorted(heard[start : start + 3]) == names


async def test_req_out_of_turn_says_what_comes_first(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(), endpoint) as (rep, req):
        with pytest.raises(mq.OutOfTurn, match="waits for no reply: call send"):
            await req.receive()
        with pytest.raises(mq.OutOfTurn, match="waits for no reply: call send"):
            req.receive_nowait()
        await req.send(b"one")
        with pytest.raises(mq.OutOfTurn, match="this Req waits for a reply"):
            await req.send(b"two")
        with pytest.raises(mq.OutOfTurn, match="this Req waits for a reply"):
            req.send_multipart_nowait([b"two"])
        with pytest.raises(trio.WouldBlock):
            req.receive_nowait()
        await answer(rep)
        assert await req.receive_multipart() == [b"re", b"one"]
        with pytest.raises(mq.OutOfTurn, match="waits for no reply: call send"):
            await req.receive()
        with pytest.raises(trio.WouldBlock):
            rep.receive_nowait()


async def test_rep_out_of_turn_says_what_comes_first(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(), endpoint) as (rep, req):
        with pytest.raises(mq.OutOfTurn, match="no request to answer: call receive"):
            await rep.send(b"")
        with pytest.raises(mq.OutOfTurn, match="no request to answer: call receive"):
            rep.send_nowait(b"")
        await req.send(b"one")
        await rep.receive()
        with pytest.raises(mq.OutOfTurn, match="must answer a request: call send"):
            await rep.receive()
        with pytest.raises(mq.OutOfTurn, match="must answer a request: call send"):
            rep.receive_multipart_nowait()
        with pytest.raises(mq.OutOfTurn, match="must answer a request: call send"):
            await rep.serve(echo)
        await rep.send(b"")
        with pytest.raises(mq.OutOfTurn, match="no request to answer: call receive"):
            await rep.send(b"")


async def test_a_second_task_is_told_that_the_first_is_at_it(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(send_hwm=1), endpoint) as (rep, req), trio.open_nursery() as nursery:
        nursery.start_soon(rep.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError, match="serve"):
            await rep.receive()
        await req.send(b"")
        nursery.start_soon(req.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError, match="request"):
            await req.receive()
        await wait_all_tasks_blocked()
        await rep.send(b"")
    async with mq.Req() as lonely, trio.open_nursery() as nursery:
        nursery.start_soon(lonely.send, b"")
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError, match="request"):
            await lonely.send(b"")
        nursery.cancel_scope.cancel()


async def test_req_without_peers_waits(endpoint: str, deadline: None) -> None:
    async with mq.Req() as req:
        with pytest.raises(trio.WouldBlock):
            req.send_nowait(b"")
        with trio.move_on_after(0) as scope:
            await req.send(b"cancelled")
        assert scope.cancelled_caught
        async with mq.Rep() as rep, trio.open_nursery() as nursery:
            nursery.start_soon(req.send, b"patient")
            await wait_all_tasks_blocked()
            rep.connect(req.bind(endpoint))
            assert await rep.receive() == b"patient"
            await rep.send(b"")
            assert await req.receive() == b""


async def test_a_reply_comes_from_the_peer_that_was_asked_only(endpoint: str, deadline: None) -> None:
    async with mq.Router() as asked, mq.Router() as other, mq.Req(routing_id=b"req", probe_router=True) as req:
        req.connect(asked.bind(endpoint))
        await req.wait_connected()
        req.connect(other.bind(another(endpoint)))
        await req.wait_connected(2)
        assert await asked.receive_multipart() == [b"req", b""]
        assert await other.receive_multipart() == [b"req", b""]
        await req.send(b"question")
        assert await asked.receive_multipart() == [b"req", b"", b"question"]
        await other.send_multipart([b"req", b"", b"from a stranger"])
        await until(lambda: req.statistics().dropped == {UNAWAITED: 1})
        await asked.send_multipart([b"req", b"", b"answer"])
        assert await req.receive() == b"answer"


MALFORMED: list[list[bytes]] = [[b"no delimiter"], [b"no", b"delimiter"], [b""], [b"1234", b"", b"marked"], [b"x", b""]]


async def test_malformed_replies_are_skipped_and_counted(endpoint: str, deadline: None) -> None:
    async with mq.Router() as router, mq.Req(routing_id=b"req") as req:
        req.connect(router.bind(endpoint))
        await req.send(b"question")
        assert await router.receive_multipart() == [b"req", b"", b"question"]
        for frames in MALFORMED:
            await router.send_multipart([b"req", *frames])
        await router.send_multipart([b"req", b"", b"answer", b""])
        await router.send_multipart([b"req", b"", b"once more"])
        assert await req.receive_multipart() == [b"answer", b""]
        await until(lambda: req.statistics().dropped == {UNAWAITED: len(MALFORMED) + 1})
        await req.send(b"next")
        assert await router.receive_multipart() == [b"req", b"", b"next"]
        await router.send_multipart([b"req", b"", b"reply"])
        assert await req.receive() == b"reply"
        assert req.statistics().reconnects == 0


async def test_with_req_correlate_a_reply_repeats_the_number_of_its_request(endpoint: str, deadline: None) -> None:
    async with mq.Router() as router, mq.Req(req_correlate=True, routing_id=b"req") as req:
        req.connect(router.bind(endpoint))
        numbers = []
        for question in numbered(3):
            await req.send(question)
            _, number, empty, body = await router.receive_multipart()
            assert (len(number), empty, body) == (4, b"", question)
            numbers.append(number)
            await router.send_multipart([b"req", b"", b"without a number"])
            await router.send_multipart([b"req", bytes([number[0] ^ 1, *number[1:]]), b"", b"another number"])
            await router.send_multipart([b"req", number, b"", b"re", question])
            assert await req.receive_multipart() == [b"re", question]
        assert len(set(numbers)) == 3
        assert req.statistics().dropped == {UNAWAITED: 6}


async def test_with_req_relaxed_requests_go_on_and_only_the_last_ones_reply_is_received(
    endpoint: str, deadline: None
) -> None:
    options: Any = {"req_relaxed": True, "req_correlate": True}
    async with mq.Rep() as one, mq.Rep() as two, mq.Req(**options) as req:
        req.connect(one.bind(endpoint))
        await req.wait_connected()
        req.connect(two.bind(another(endpoint)))
        await req.wait_connected(2)
        for message in numbered(4):
            await req.send(message)
        for rep, messages in ((one, (b"0", b"2")), (two, (b"1", b"3"))):
            for message in messages:
                assert await rep.receive() == message
                await rep.send(message)
        assert await req.receive() == b"3"
        await until(lambda: req.statistics().dropped == {UNAWAITED: 3})
        with pytest.raises(mq.OutOfTurn):
            await req.receive()


async def test_with_req_relaxed_a_reply_that_was_not_fetched_is_counted_as_dropped(
    endpoint: str, deadline: None
) -> None:
    async with married(mq.Rep(), mq.Req(req_relaxed=True), endpoint) as (rep, req):
        await req.send(b"one")
        await answer(rep)
        await until(lambda: req.statistics().queued_in == 1)
        await req.send(b"two")
        assert req.statistics().dropped == {UNAWAITED: 1}
        await answer(rep)
        assert await req.receive_multipart() == [b"re", b"two"]


async def test_receive_says_that_the_peer_which_was_asked_is_lost(endpoint: str, deadline: None) -> None:
    async with mq.Req() as req, trio.open_nursery() as nursery:
        address = req.bind(endpoint)
        async with mq.Rep() as rep:
            rep.connect(address)
            await req.send(b"")
            await rep.receive()

            @nursery.start_soon
            async def wait_in_vain() -> None:
                with pytest.raises(mq.PeerLost, match="has not answered"):
                    await req.receive()

            await wait_all_tasks_blocked()
        await until(lambda: not req.statistics().peers)
    with pytest.raises(trio.ClosedResourceError):
        await req.receive()


async def test_receive_says_so_too_when_the_endpoint_is_disconnected(endpoint: str, deadline: None) -> None:
    async with mq.Rep() as rep, mq.Req() as req, trio.open_nursery() as nursery:
        address = rep.bind(endpoint)
        req.connect(address)
        await req.send(b"")
        await rep.receive()

        @nursery.start_soon
        async def wait_in_vain() -> None:
            with pytest.raises(mq.PeerLost):
                await req.receive()
            with pytest.raises(mq.OutOfTurn):
                await req.receive()

        await wait_all_tasks_blocked()
        req.disconnect(address)


async def test_a_reply_on_a_new_connection_is_received(wire_endpoint: str, deadline: None) -> None:
    async with mq.Req(routing_id=b"req", reconnect_interval=0.01) as req:
        async with mq.Router() as router:
            address = router.bind(wire_endpoint)
            req.connect(address)
            await req.send(b"question")
            assert await router.receive_multipart() == [b"req", b"", b"question"]
        async with mq.Router(router_mandatory=True) as router:
            router.bind(address)
            await router.wait_connected()
            await router.send_multipart([b"req", b"", b"answer"])
            assert await req.receive() == b"answer"


async def test_a_request_that_no_peer_could_have_had_goes_to_the_next(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Req() as req:
        req.connect(address)
        await req.send(b"early")
        async with mq.Rep() as rep:
            rep.bind(address)
            await answer(rep)
            assert await req.receive_multipart() == [b"re", b"early"]


async def test_requests_without_delimiter_or_body_are_skipped_and_counted(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Dealer(), endpoint) as (rep, dealer):
        for frames in ([b"bare"], [b"two", b"frames"], [b""], [b"envelope", b""]):
            await dealer.send_multipart(frames)
        await dealer.send_multipart([b"", b"good"])
        assert await rep.receive() == b"good"
        await rep.send(b"reply")
        assert await dealer.receive_multipart() == [b"", b"reply"]
        assert rep.statistics().dropped == {"requests without an empty frame before their body": 4}


async def test_the_envelope_comes_back_as_it_was(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Dealer(), endpoint) as (rep, dealer):
        await dealer.send_multipart([b"one", b"two", b"", b"", b"body", b""])
        assert await rep.receive_multipart() == [b"", b"body", b""]
        await rep.send_multipart([b"", b"reply"])
        assert await dealer.receive_multipart() == [b"one", b"two", b"", b"", b"reply"]


@pytest.mark.parametrize("depth", [1, 3])
async def test_replies_find_their_way_back_through_brokers(endpoint: str, depth: int, deadline: None) -> None:
    async with mq.Rep() as rep, trio.open_nursery() as nursery:
        address = rep.bind(endpoint)

        async def broker(behind: str, task_status: trio.TaskStatus[str]) -> None:
            async with mq.Router() as front, mq.Dealer() as back, trio.open_nursery() as both:
                back.connect(behind)
                task_status.started(front.bind("tcp://127.0.0.1:*" if "tcp" in behind else another(behind)))

                async def carry(source: Any, sink: Any) -> None:
                    while True:
                        await sink.send_multipart(await source.receive_multipart())

                both.start_soon(carry, front, back)
                both.start_soon(carry, back, front)

        for _ in range(depth):
            address = await nursery.start(broker, address)
        nursery.start_soon(rep.serve, echo)
        async with trio.open_nursery() as clients:

            async def ask(name: int) -> None:
                async with mq.Req() as req:
                    req.connect(address)
                    for number in range(20):
                        await req.send(b"%d of %d" % (number, name))
                        assert await req.receive() == b"%d of %d" % (number, name)

            for name in range(5):
                clients.start_soon(ask, name)
        nursery.cancel_scope.cancel()


async def echo(message: Any) -> Any:
    return message


async def test_a_reply_to_a_peer_that_is_gone_is_dropped_and_counted(endpoint: str, deadline: None) -> None:
    async with mq.Rep() as rep, rep.monitor() as events:
        address = rep.bind(endpoint)
        async with mq.Req() as req:
            req.connect(address)
            await req.send(b"")
            await rep.receive()
        await next_event(events, mq.Disconnected)
        await rep.send(b"too late")
        dropped = await next_event(events, mq.Dropped)
        assert (dropped.count, dropped.reason) == (1, "replies to a peer that is gone")
        async with mq.Req() as req:
            req.connect(address)
            await req.send(b"")
            await answer(rep)
            await req.receive_multipart()


async def test_replies_beyond_a_full_queue_are_dropped_and_counted(wire_endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(send_hwm=2), mq.Dealer(receive_hwm=1), wire_endpoint) as (rep, dealer):
        body = bytes(8 * 1024 * 1024)
        for _ in range(20):
            await dealer.send_multipart([b"", b""])
        for _ in range(20):
            await rep.receive()
            await rep.send(body)
        got = 0
        while got + rep.statistics().dropped.get("its queue was full when they were sent (send_hwm)", 0) < 20:
            assert await dealer.receive_multipart() == [b"", body]
            got += 1
        assert got < 20


async def test_cancelled_calls_leave_the_turn_as_it_was(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(), endpoint) as (rep, req):
        for _ in range(3):
            with trio.move_on_after(0):
                await rep.receive()
        await req.send(b"question")
        for _ in range(3):
            with trio.move_on_after(0):
                await req.receive()
        assert await rep.receive() == b"question"
        await rep.send(b"answer")
        assert await req.receive() == b"answer"


async def test_closing_ends_those_who_wait(endpoint: str, deadline: None) -> None:
    async with mq.Rep() as rep, mq.Req() as req, mq.Req() as lonely, trio.open_nursery() as nursery:
        req.connect(rep.bind(endpoint))
        await req.send(b"")
        await rep.receive()
        await rep.send(b"")
        await req.receive()
        await req.send(b"")
        await rep.receive()

        async def closed(call: Any, *arguments: bytes) -> None:
            with pytest.raises(trio.ClosedResourceError):
                await call(*arguments)

        nursery.start_soon(closed, req.receive)
        nursery.start_soon(closed, lonely.send, b"")
        await wait_all_tasks_blocked()
        await req.aclose()
        await rep.send(b"")
        nursery.start_soon(closed, rep.receive)
        await wait_all_tasks_blocked()
        for socket in (rep, lonely):
            await socket.aclose()
        for call in (rep.send, req.send, lonely.send):
            await closed(call, b"")
        for call in (rep.receive, req.receive, lonely.receive):
            await closed(call)
