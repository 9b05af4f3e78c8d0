"""Does each request() get its own reply, however many are at it, and leave nothing behind when it does not?"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import zmq
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, until
from ..interop.libzmq import libzmq, meeting
from ..links.test_inproc_threads import together
from .meeting import HUGE, another, numbered, reserved

UNAWAITED = "replies that nobody waits for"


async def shout(message: Any) -> Any:
    """Answer, after a while."""
    for _ in range(random.randrange(5)):
        await trio.lowlevel.checkpoint()
    return message + b"!"


async def ask(req: mq.Req, message: bytes) -> None:
    assert await req.request(message) == message + b"!"


@asynccontextmanager
async def a_rep(endpoint: str) -> AsyncIterator[str]:
    async with mq.Rep() as rep, trio.open_nursery() as nursery:
        address = rep.bind(endpoint)
        nursery.start_soon(rep.serve, shout)
        yield address
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def a_router(endpoint: str) -> AsyncIterator[str]:
    async with mq.Router() as router, trio.open_nursery() as nursery:
        address = router.bind(endpoint)
        nursery.start_soon(router.serve, shout)
        yield address
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def a_rep_of_libzmq(endpoint: str) -> AsyncIterator[str]:
    async with libzmq(zmq.REP) as rep, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            while True:
                if await rep.pending(5):
                    [[body]] = await rep.receive()
                    await rep.send([body + b"!"])

        yield rep.bind(endpoint)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def a_router_of_libzmq(endpoint: str) -> AsyncIterator[str]:
    """It answers what has come in any order."""
    async with libzmq(zmq.ROUTER) as router, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            while True:
                waiting = []
                while await router.pending(5):
                    waiting += await router.receive()
                random.shuffle(waiting)
                await router.send(*([*envelope, body + b"!"] for *envelope, body in waiting))

        yield router.bind(endpoint)
        nursery.cancel_scope.cancel()


SERVERS = (a_rep, a_router, a_rep_of_libzmq, a_router_of_libzmq)


def skip_inproc(server: Any, endpoint: str) -> None:
    if server in (a_rep_of_libzmq, a_router_of_libzmq) and endpoint.startswith("inproc"):
        pytest.skip("contexts of libzmq do not share our inproc")


@pytest.mark.parametrize("server", SERVERS)
async def test_hundreds_of_tasks_each_get_their_own_reply(endpoint: str, server: Any, deadline: None) -> None:
    skip_inproc(server, endpoint)
    async with server(endpoint) as address, mq.Req() as req:
        req.connect(address)
        async with trio.open_nursery() as nursery:
            for message in numbered(300):
                nursery.start_soon(ask, req, message)
        for message in numbered(20):
            await ask(req, message)
        statistics = req.statistics()
        assert statistics.dropped == {}
        assert statistics.messages_in == statistics.messages_out == 320


@pytest.mark.parametrize("server", SERVERS)
async def test_requests_cancelled_at_any_moment_leave_the_others_alone(
    endpoint: str, server: Any, deadline: None
) -> None:
    skip_inproc(server, endpoint)
    chance = random.Random(3)
    answered = 0
    async with server(endpoint) as address, mq.Req() as req:
        req.connect(address)

        async def ask_for_a_while(message: bytes) -> None:
            nonlocal answered
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def cancel() -> None:
                        for _ in range(chance.randrange(200)):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()

                    await ask(req, message)
                    answered += 1
                    nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for message in numbered(150):
                nursery.start_soon(ask_for_a_while, message)
                nursery.start_soon(ask, req, message)
        await ask(req, b"last")
        statistics = req.statistics()
        assert statistics.messages_in == answered + 151
        await until(
            lambda: (counted := req.statistics()).messages_in + counted.dropped.get(UNAWAITED, 0)
            == counted.messages_out
        )


async def test_a_request_that_is_not_sent_yet_is_withdrawn(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Req(send_hwm=2) as req:
        req.connect(address)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as doomed:
                    for _ in range(5):
                        doomed.start_soon(req.request, b"cancelled")
                    await wait_all_tasks_blocked()
                    assert req.statistics().queued_out == 2
                    nursery.start_soon(ask, req, b"patient")
                    await wait_all_tasks_blocked()
                    scope.cancel()
            await wait_all_tasks_blocked()
            assert req.statistics().queued_out == req.statistics().messages_out == 1
            async with mq.Rep() as rep:
                rep.bind(address)
                assert await rep.receive() == b"patient"
                await rep.send(b"patient!")
        assert req.statistics().dropped == {}


async def test_a_late_reply_is_dropped_and_counted(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(), endpoint) as (rep, req), trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(_cancel_when_received, rep, scope)
            await req.request(b"slow")
        assert scope.cancelled_caught
        await rep.send(b"late")
        await until(lambda: req.statistics().dropped == {UNAWAITED: 1})
        nursery.start_soon(ask, req, b"next")
        assert await rep.receive() == b"next"
        await rep.send(b"next!")


async def _cancel_when_received(rep: mq.Rep, scope: trio.CancelScope) -> None:
    await rep.receive()
    scope.cancel()


async def test_a_timeout_is_trios(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(), endpoint) as (rep, req):
        with pytest.raises(trio.TooSlowError), trio.fail_after(0.01):
            await req.request(b"nobody receives it")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rep.serve, shout)
            await ask(req, b"then")
            nursery.cancel_scope.cancel()


async def test_requests_and_replies_of_several_frames(endpoint: str, deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(), endpoint) as (rep, req), trio.open_nursery() as nursery:

        async def double(message: Any) -> Any:
            return [*message, *message] if isinstance(message, list) else [message, message]

        nursery.start_soon(rep.serve, double)
        assert await req.request_multipart([b"", b"one"]) == [b"", b"one", b"", b"one"]
        assert await req.request_multipart([bytearray(b"one")]) == [b"one", b"one"]
        with pytest.raises(mq.MultipartMessage) as caught:
            await req.request(b"one")
        assert caught.value.frames == [b"one", b"one"]
        with pytest.raises(TypeError, match="encode"):
            await req.request("text")  # type: ignore[arg-type]
        nursery.cancel_scope.cancel()


async def test_a_peer_that_goes_ends_the_requests_that_it_has_and_no_others(endpoint: str, deadline: None) -> None:
    lost = 0
    async with mq.Router() as one, mq.Router() as two, mq.Req(reconnect_interval=0.01) as req:
        req.connect(one.bind(endpoint))
        await req.wait_connected()
        req.connect(two.bind(another(endpoint)))
        await req.wait_connected(2)
        async with trio.open_nursery() as nursery:

            async def ask_either(message: bytes) -> None:
                nonlocal lost
                try:
                    await ask(req, message)
                except mq.PeerLost:
                    lost += 1

            for message in numbered(20):
                nursery.start_soon(ask_either, message)
            waiting = [await two.receive_multipart() for _ in range(10)]
            for _ in range(10):
                await one.receive_multipart()
            await one.aclose()
            await until(lambda: lost == 10)
            for *envelope, body in waiting:
                await two.send_multipart([*envelope, body + b"!"])
        assert lost == 10


async def test_a_server_that_is_restarted_gets_what_its_predecessor_did_not(endpoint: str, deadline: None) -> None:
    outcomes: list[str] = []
    async with mq.Req(reconnect_interval=0.01) as req, trio.open_nursery() as nursery:

        async def keep_asking(message: bytes) -> None:
            while True:
                try:
                    await ask(req, message)
                except mq.PeerLost:
                    outcomes.append("lost")
                else:
                    outcomes.append("answered")
                    return

        address = endpoint
        for life in range(4):
            async with mq.Rep() as rep:
                address = rep.bind(address)
                if not life:
                    req.connect(address)
                for message in numbered(30):
                    nursery.start_soon(keep_asking, message)
                for _ in range(10):
                    request = await rep.receive()
                    await rep.send(request + b"!")
        async with mq.Rep() as rep, trio.open_nursery() as serving:
            rep.bind(address)
            serving.start_soon(rep.serve, shout)
            await until(lambda: outcomes.count("answered") == 120)
            serving.cancel_scope.cancel()


async def test_several_servers_are_asked_in_turn(endpoint: str, deadline: None) -> None:
    asked = [0, 0, 0]
    async with mq.Req() as req, mq.Rep() as one, mq.Rep() as two, mq.Rep() as three, trio.open_nursery() as nursery:
        place = endpoint
        for number, rep in enumerate((one, two, three)):
            req.connect(rep.bind(place))
            await req.wait_connected(number + 1)
            place = another(place)

            async def count(message: Any, number: int = number) -> bytes:
                asked[number] += 1
                return b""

            nursery.start_soon(rep.serve, count)
        for _ in range(30):
            await req.request(b"")
        async with trio.open_nursery() as many:
            for _ in range(30):
                many.start_soon(req.request, b"")
        nursery.cancel_scope.cancel()
    assert asked == [20, 20, 20]


async def test_closing_ends_requests_that_wait(endpoint: str, deadline: None) -> None:
    async with mq.Rep() as rep, mq.Req(send_hwm=1, linger=0) as req, trio.open_nursery() as nursery:
        req.connect(rep.bind(endpoint))
        closed = 0

        async def wait_in_vain() -> None:
            nonlocal closed
            with pytest.raises(trio.ClosedResourceError):
                await req.request(b"")
            closed += 1

        for _ in range(10):
            nursery.start_soon(wait_in_vain)
        await rep.receive()
        await wait_all_tasks_blocked()
        await req.aclose()
        await until(lambda: closed == 10)
        with pytest.raises(trio.ClosedResourceError):
            await req.request(b"")


@pytest.mark.parametrize("reached", [False, True])
async def test_an_endpoint_that_is_disconnected_ends_the_requests_for_it(
    endpoint: str, reached: bool, deadline: None
) -> None:
    address = await reserved(endpoint)
    async with mq.Rep() as rep, mq.Req(linger=0) as req, trio.open_nursery() as nursery:
        if reached:
            rep.bind(address)
        req.connect(address)

        async def wait_in_vain() -> None:
            with pytest.raises(mq.PeerLost):
                await req.request(b"")

        nursery.start_soon(wait_in_vain)
        if reached:
            await rep.receive()
        await wait_all_tasks_blocked()
        req.disconnect(address)


async def test_an_endpoint_that_is_given_up_ends_the_requests_for_it(wire_endpoint: str, deadline: None) -> None:
    address = await reserved(wire_endpoint)
    async with mq.Req(reconnect_stop={"refused"}) as req:  # type: ignore[arg-type]
        req.connect(address)
        with pytest.raises(mq.PeerLost):
            await req.request(b"")


async def test_requests_mix_with_send_and_receive(endpoint: str, deadline: None) -> None:
    async with a_router(endpoint) as address, mq.Req() as req, trio.open_nursery() as nursery:
        req.connect(address)

        @nursery.start_soon
        async def in_lockstep() -> None:
            for message in numbered(50):
                await req.send(message)
                assert await req.receive() == message + b"!"

        for name in range(5):

            @nursery.start_soon
            async def in_one_call(name: int = name) -> None:
                for number in range(50):
                    await ask(req, b"%d of %d" % (number, name))

    assert req.statistics().dropped == {}


async def test_a_reply_counts_for_the_peer_that_was_asked_only_and_once(endpoint: str, deadline: None) -> None:
    async with mq.Router() as asked, mq.Router() as other, mq.Req(routing_id=b"req") as req:
        req.connect(asked.bind(endpoint))
        await req.wait_connected()
        req.connect(other.bind(another(endpoint)))
        await req.wait_connected(2)
        await other.wait_connected()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, req, b"question")
            envelope = (await asked.receive_multipart())[:-1]
            await other.send_multipart([*envelope, b"from a stranger"])
            await until(lambda: req.statistics().dropped == {UNAWAITED: 1})
            for malformed in ([], [b"no delimiter"], [b""]):
                await asked.send_multipart([*envelope[:2], *malformed])
            for _ in range(3):
                await asked.send_multipart([*envelope, b"question!"])
        await until(lambda: req.statistics().dropped == {UNAWAITED: 6})


def said_of_numbers(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("binder", ["ours", "theirs"])
@pytest.mark.parametrize("reply", [[b"", b"body"], [b"body"]])
async def test_a_reply_of_libzmqs_router_without_the_number_of_its_request_is_said_once(
    wire_endpoint: str, binder: str, reply: list[bytes], deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        meeting(mq.Req(linger=0), zmq.ROUTER, wire_endpoint, binder) as (req, router),
        trio.open_nursery() as nursery,
    ):
        for _ in range(3):
            nursery.start_soon(req.request, b"question")
        requests = []
        while len(requests) < 3:
            requests += await router.receive()
        for routing_id, *_ in requests:
            await router.send([routing_id, *reply])
        await until(lambda: req.statistics().dropped == {UNAWAITED: 3})
        nursery.cancel_scope.cancel()
    (said,) = said_of_numbers(caplog)
    assert said.startswith("Req.request() dropped a reply without the number of its request")
    assert "must send back all frames of a request up to the empty frame" in said
    assert "use send() and receive()" in said


async def test_a_reply_with_its_number_that_comes_late_or_twice_is_not_said_to_have_none(
    endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with married(mq.Router(), mq.Req(linger=0), endpoint) as (router, req), trio.open_nursery() as nursery:
        with trio.CancelScope() as given_up:
            nursery.start_soon(cancel_when_received, router, given_up, late := [])
            await req.request(b"late")
        nursery.start_soon(req.request, b"waits")
        waiting = await router.receive_multipart()
        for _ in range(2):
            await router.send_multipart(late[0])
        await until(lambda: req.statistics().dropped == {UNAWAITED: 2})
        await router.send_multipart(waiting)
    assert said_of_numbers(caplog) == []


async def cancel_when_received(router: mq.Router, scope: trio.CancelScope, received: list[list[bytes]]) -> None:
    received.append(await router.receive_multipart())
    scope.cancel()


async def test_a_reply_without_a_number_while_no_request_waits_is_only_counted(
    endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with married(mq.Router(), mq.Req(routing_id=b"req"), endpoint) as (router, req):
        await router.send_multipart([b"req", b"", b"for nobody"])
        await until(lambda: req.statistics().dropped == {UNAWAITED: 1})
        await req.send(b"question")
        [routing_id, empty, body] = await router.receive_multipart()
        await router.send_multipart([routing_id, empty, body])
        assert await req.receive() == b"question"
    assert said_of_numbers(caplog) == []


async def test_a_flood_of_replies_that_nobody_waits_for_holds_up_nobody(endpoint: str, deadline: None) -> None:
    async with married(mq.Router(router_mandatory=True), mq.Req(), endpoint) as (router, req):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def flood() -> None:
                while True:
                    routing_id, number, _, body = await router.receive_multipart()
                    for _ in range(500):
                        await router.send_multipart([routing_id, b"", b"junk"])
                    await router.send_multipart([routing_id, number, b"", body + b"!"])

            for message in numbered(20):
                await ask(req, message)
            nursery.cancel_scope.cancel()
        assert req.statistics().dropped == {UNAWAITED: 10_000}
        assert req.statistics().queued_in == 0


async def test_a_request_that_the_peer_has_no_room_for_waits_and_is_withdrawn(
    wire_endpoint: str, deadline: None
) -> None:
    async with married(mq.Router(receive_hwm=1), mq.Req(send_hwm=1), wire_endpoint) as (router, req):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(req.request, HUGE)
            await wait_all_tasks_blocked(0.05)
            sent = req.statistics().messages_out
            assert sent < 5
            nursery.cancel_scope.cancel()
        assert req.statistics().messages_out <= sent
        for _ in range(req.statistics().messages_out):
            assert (await router.receive_multipart())[-1] == HUGE
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, req, b"then")
            *envelope, body = await router.receive_multipart()
            await router.send_multipart([*envelope, body + b"!"])


@pytest.mark.parametrize("kind", [mq.Rep, mq.Router])
def test_requests_and_replies_pass_between_threads(kind: Any) -> None:
    name = f"inproc://requests-to-{kind.__name__}"
    chance = random.Random(9)

    async def server() -> None:
        async with kind() as serving, trio.open_nursery() as nursery:
            serving.bind(name)
            nursery.start_soon(serving.serve, shout)
            await serving.wait_connected()
            await until(lambda: not serving.statistics().peers)
            nursery.cancel_scope.cancel()

    async def client() -> None:
        async with mq.Req() as req:
            req.connect(name)

            async def keep_asking(name: int) -> None:
                for number in range(100):
                    message = b"%d of %d" % (number, name)
                    if chance.random() < 0.2:
                        with trio.move_on_after(chance.random() / 1000):
                            await ask(req, message)
                    else:
                        await ask(req, message)

            for number in range(300):
                await ask(req, b"%d" % number)
            async with trio.open_nursery() as nursery:
                for task in range(10):
                    nursery.start_soon(keep_asking, task)
            for message in numbered(300):
                await req.send(message)
                assert await req.receive() == message + b"!"

    together(server, client)
