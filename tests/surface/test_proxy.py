"""Does a proxy pass on every message, hold up who is too fast, do what it is told, and end cleanly?"""

from __future__ import annotations

import logging
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
import zmq
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from ..interop.libzmq import libzmq
from ..layers.test_hot_path import counted
from ..patterns.meeting import fill, numbered, receive_all


@asynccontextmanager
async def proxied(
    frontend: mq.Socket, backend: mq.Socket, *, capture: mq.Socket | None = None, control: mq.Socket | None = None
) -> AsyncIterator[trio.Nursery]:
    """Run a proxy between two open sockets."""
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[None]) -> None:
            await mq.proxy(frontend, backend, capture, control, task_status=task_status)

        await nursery.start(run)
        yield nursery
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def opened(*sockets: mq.Socket) -> AsyncIterator[tuple[Any, ...]]:
    async with AsyncExitStack() as stack:
        yield tuple([await stack.enter_async_context(socket) for socket in sockets])


@asynccontextmanager
async def streamer(endpoint: str, **options: Any) -> AsyncIterator[tuple[Any, ...]]:
    """Open PUSH -> PULL and PUSH -> PULL, with every queue short; a proxy fits in the middle."""
    short = {"linger": 0.0, **options}
    async with opened(mq.Push(**short), mq.Pull(**short), mq.Push(**short), mq.Pull(**short)) as sockets:
        source, frontend, backend, sink = sockets
        source.connect(frontend.bind(endpoint))
        backend.connect(sink.bind(endpoint if endpoint.endswith("*") else f"{endpoint}-2"))
        await source.wait_connected()
        await backend.wait_connected()
        yield sockets


# -- passing on --------------------------------------------------------------------------------------------


async def test_requests_reach_workers_and_replies_their_clients(endpoint: str, deadline: None) -> None:
    other = endpoint if endpoint.endswith("*") else f"{endpoint}-2"

    async def double(request: bytes | list[bytes]) -> bytes:
        assert isinstance(request, bytes)
        return request * 2

    async with opened(mq.Router(), mq.Dealer()) as (router, dealer):
        front, back = router.bind(endpoint), dealer.bind(other)
        async with (
            proxied(router, dealer) as nursery,
            opened(mq.Rep(), mq.Rep(), mq.Req(), mq.Req()) as (*workers, one, two),
        ):
            for worker in workers:
                worker.connect(back)
                nursery.start_soon(worker.serve, double)
            await dealer.wait_connected(2)
            for client in (one, two):
                client.connect(front)
            for number in range(50):
                assert await one.request(b"%d." % number) == b"%d." % number * 2
                assert await two.request(b"%d!" % number) == b"%d!" % number * 2
            assert [worker.statistics().messages_in for worker in workers] == [50, 50]
            nursery.cancel_scope.cancel()


async def test_work_passes_in_order_and_whole(endpoint: str, deadline: None) -> None:
    async with streamer(endpoint) as (source, frontend, backend, sink), proxied(frontend, backend):
        sent = [[b"%d" % number] * (1 + number % 3) for number in range(3000)]
        received: list[list[bytes]] = []

        async def receive() -> None:
            for _ in sent:
                received.append(await sink.receive_multipart())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            for frames in sent:
                await source.send_multipart(frames)
        assert received == sent


async def test_which_side_is_which_does_not_matter(endpoint: str, deadline: None) -> None:
    async with streamer(endpoint) as (source, frontend, backend, sink), proxied(backend, frontend):
        await source.send(b"upstream of what is called the frontend")
        assert await sink.receive() == b"upstream of what is called the frontend"


async def test_subscriptions_go_up_and_publications_down(endpoint: str, deadline: None) -> None:
    other = endpoint if endpoint.endswith("*") else f"{endpoint}-2"
    async with opened(mq.Pub(), mq.XSub(), mq.XPub(), mq.Sub()) as (pub, xsub, xpub, sub):
        pub.connect(xsub.bind(endpoint))
        sub.connect(xpub.bind(other))
        sub.subscribe(b"a")
        async with proxied(xsub, xpub):
            await pub.wait_subscribed(b"a")
            await pub.send(b"b, which nobody wants")
            await pub.send_multipart([b"a", b"first"])
            assert await sub.receive_multipart() == [b"a", b"first"]
            assert pub.topics_count == 1
            sub.unsubscribe(b"a")
            await until(lambda: pub.topics_count == 0)


async def test_a_sub_may_feed_a_pub(endpoint: str, deadline: None) -> None:
    other = endpoint if endpoint.endswith("*") else f"{endpoint}-2"
    async with opened(mq.Pub(), mq.Sub(), mq.Pub(), mq.Sub()) as (pub, middle, again, sub):
        middle.connect(pub.bind(endpoint))
        middle.subscribe(b"")
        sub.connect(again.bind(other))
        sub.subscribe(b"")
        await pub.wait_subscribed()
        await again.wait_subscribed()
        async with proxied(middle, again):
            await pub.send(b"news")
            assert await sub.receive() == b"news"


async def test_requests_that_can_go_nowhere_do_not_stop_an_xpub(endpoint: str, deadline: None) -> None:
    other = endpoint if endpoint.endswith("*") else f"{endpoint}-2"
    async with opened(mq.Pub(), mq.Sub(), mq.XPub(receive_hwm=4), mq.Sub()) as (pub, middle, xpub, sub):
        middle.connect(pub.bind(endpoint))
        middle.subscribe(b"")
        sub.connect(xpub.bind(other))
        await pub.wait_subscribed()
        async with proxied(middle, xpub):
            for topic in numbered(100):
                sub.subscribe(topic)
            await until(lambda: xpub.topics_count == 100)
            await pub.send(b"99")
            assert await sub.receive() == b"99"


async def test_messages_for_groups_keep_their_group(endpoint: str, deadline: None) -> None:
    other = endpoint if endpoint.endswith("*") else f"{endpoint}-2"
    async with opened(mq.Radio(), mq.Dish(), mq.Radio(), mq.Dish()) as (radio, middle, again, dish):
        middle.connect(radio.bind(endpoint))
        middle.join(b"group")
        dish.connect(again.bind(other))
        dish.join(b"group")
        await radio.wait_joined(b"group")
        await again.wait_joined(b"group")
        async with proxied(middle, again):
            await radio.send(b"group", b"body")
            assert await dish.receive() == (b"group", b"body")


@pytest.mark.parametrize(("ours", "theirs"), [(mq.Rep, mq.Req), (mq.Dealer, mq.Dealer), (mq.Pair, mq.Pair)])
async def test_a_socket_joined_to_itself_echoes(
    ours: type[Any], theirs: type[Any], endpoint: str, deadline: None
) -> None:
    async with married(ours(), theirs(), endpoint) as (echo, client), proxied(echo, echo):
        for frames in ([b"one"], [b"several", b"", b"frames"]):
            await client.send_multipart(frames)
            assert await client.receive_multipart() == frames


async def test_a_message_costs_a_few_calls(endpoint: str, deadline: None) -> None:
    count = 900
    async with streamer(endpoint) as (source, frontend, backend, sink):
        for body in numbered(count):
            await source.send(body)
        await until(lambda: frontend.statistics().queued_in == count)
        calls: Counter[str] = Counter()
        async with proxied(frontend, backend):
            with counted(calls):
                while backend.statistics().messages_out < count:
                    await trio.lowlevel.checkpoint()
        passed = sum(number for name, number in calls.items() if "/trio/" not in name and "statistics" not in name)
        assert passed < 4 * count, f"{passed / count:.1f} calls a message: {calls.most_common(10)}"
        assert await receive_all(sink, count) == numbered(count)


# -- back-pressure and the end -----------------------------------------------------------------------------


async def test_nothing_is_taken_that_the_other_side_has_no_room_for(endpoint: str, deadline: None) -> None:
    async with streamer(endpoint, send_hwm=4, receive_hwm=4) as (source, frontend, backend, sink):
        async with proxied(frontend, backend):
            count = await fill(source, bytes(1_000_000))
            assert backend.statistics().messages_out < count
        taken = frontend.statistics().messages_in
        assert taken == backend.statistics().messages_out
        await receive_all(sink, taken)
        async with proxied(frontend, backend):
            await receive_all(sink, count - taken)


async def test_a_proxy_that_is_cancelled_again_and_again_loses_nothing(endpoint: str, deadline: None) -> None:
    count = 2000
    async with streamer(endpoint, send_hwm=10, receive_hwm=10) as (source, frontend, backend, sink):

        async def send() -> None:
            for body in numbered(count):
                await source.send(body)

        async def interrupted() -> None:
            while True:
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as both:
                        both.start_soon(mq.proxy, frontend, backend)
                        for _ in range(12):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            nursery.start_soon(interrupted)
            assert await receive_all(sink, count) == numbered(count)
            nursery.cancel_scope.cancel()


async def test_a_slow_subscriber_holds_up_a_forwarder_that_drops_nothing(endpoint: str, deadline: None) -> None:
    other = endpoint if endpoint.endswith("*") else f"{endpoint}-2"
    short = {"send_hwm": 2, "receive_hwm": 2}
    async with opened(
        mq.Pub(xpub_nodrop=True, **short), mq.XSub(**short), mq.XPub(xpub_nodrop=True, linger=0.0, **short),
        mq.Sub(**short), mq.Rep(), mq.Req(),
    ) as (pub, xsub, xpub, sub, control, asking):  # fmt: skip
        pub.connect(xsub.bind(endpoint))
        sub.connect(xpub.bind(other))
        sub.subscribe(b"")
        asking.connect(control.bind("inproc://proxy-control"))
        async with proxied(xsub, xpub, control=control):
            await pub.wait_subscribed()
            count = await fill(pub, bytes(1_000_000))
            statistics = await asking.request_multipart([b"STATISTICS"])  # also while a message waits for room
            assert len(statistics) == 8
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive_all, sub, count)
        assert not xpub.statistics().dropped
        assert not pub.statistics().dropped


async def test_a_message_that_waited_for_room_at_the_end_is_reported(endpoint: str, deadline: None) -> None:
    other = endpoint if endpoint.endswith("*") else f"{endpoint}-2"
    async with opened(
        mq.Push(linger=0.0), mq.Pull(), mq.XPub(xpub_nodrop=True, send_hwm=1, linger=0.0), mq.Sub(receive_hwm=1)
    ) as (push, pull, xpub, sub):
        push.connect(pull.bind(endpoint))
        sub.connect(xpub.bind(other))
        sub.subscribe(b"")
        await xpub.wait_subscribed()
        async with xpub.monitor() as events:
            async with proxied(pull, xpub):
                for _ in range(20):
                    await push.send(bytes(1_000_000))
                await until(lambda: pull.statistics().messages_in > xpub.statistics().messages_out)
                await wait_all_tasks_blocked()
            assert (await next_event(events, mq.Dropped)).count == 1
        assert "proxy" in next(iter(xpub.statistics().dropped))


async def test_what_a_router_cannot_address_is_counted_and_the_rest_goes_on(endpoint: str, deadline: None) -> None:
    other = endpoint if endpoint.endswith("*") else f"{endpoint}-2"
    async with (
        married(mq.Router(router_mandatory=True), mq.Dealer(routing_id=b"me"), endpoint) as (router, client),
        married(mq.Dealer(), mq.Dealer(), other) as (dealer, worker),
        proxied(router, dealer),
    ):
        await worker.send(b"no address at all")
        await worker.send_multipart([b"somebody else", b"lost"])
        await worker.send_multipart([b"me", b"arrives"])
        assert await client.receive() == b"arrives"
        assert sum(router.statistics().dropped.values()) == 2


async def test_terminating_does_not_wait_for_a_full_backend(endpoint: str, deadline: None) -> None:
    async with (
        streamer(endpoint, send_hwm=2, receive_hwm=2) as (source, frontend, backend, _),
        married(mq.Rep(), mq.Req(), "inproc://terminate") as (control, asking),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(mq.proxy, frontend, backend, None, control)
        await fill(source, bytes(1_000_000))
        assert await asking.request(b"TERMINATE") == b""


@pytest.mark.parametrize("which", ["frontend", "backend", "capture", "control"])
async def test_closing_one_of_the_sockets_ends_the_proxy(which: str, deadline: None) -> None:
    sockets = {"frontend": mq.Pull(), "backend": mq.Push(), "capture": mq.Pub(), "control": mq.Pair()}
    async with opened(*sockets.values()):

        async def close() -> None:
            await wait_all_tasks_blocked()
            await sockets[which].aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(close)
            with pytest.raises(trio.ClosedResourceError, match=f"this {type(sockets[which]).__name__} is closed"):
                await mq.proxy(**sockets)


async def test_no_group_of_exceptions_gets_out(deadline: None) -> None:
    async with mq.Router() as router, mq.Dealer() as dealer:
        await dealer.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await mq.proxy(router, dealer)


# -- capture -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("capture", "watcher"), [(mq.Pub, mq.Sub), (mq.Push, mq.Pull), (mq.Pair, mq.Pair),
                                                  (mq.Dealer, mq.Dealer)])  # fmt: skip
async def test_a_capture_gets_every_message(
    capture: type[Any], watcher: type[Any], endpoint: str, deadline: None
) -> None:
    other = endpoint if endpoint.endswith("*") else f"{endpoint}-3"
    async with streamer(endpoint) as (source, frontend, backend, sink), married(capture(), watcher(), other) as pair:
        copies, watching = pair
        if isinstance(watching, mq.Sub):
            watching.subscribe(b"")
            await copies.wait_subscribed()
        async with proxied(frontend, backend, capture=copies):
            for frames in ([b"one"], [b"and", b"two"]):
                await source.send_multipart(frames)
                assert await sink.receive_multipart() == frames
                assert await watching.receive_multipart() == frames


async def test_a_full_capture_holds_up_nothing_and_says_what_it_missed(
    deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        streamer("inproc://full-capture") as (source, frontend, backend, sink),
        mq.Push(send_hwm=2) as copies,
        copies.monitor() as events,
        proxied(frontend, backend, capture=copies),
    ):
        with caplog.at_level(logging.WARNING, "mq"):
            for body in numbered(5):
                await source.send(body)
            assert await receive_all(sink, 5) == numbered(5)
        assert (await next_event(events, mq.Dropped)).reason == "the proxy's capture could take no more"
        assert sum(copies.statistics().dropped.values()) == 5
        assert [record.message for record in caplog.records] == [
            "the capture of a proxy, a Push, drops copies: it could not take one at once"
        ]


# -- steering ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def steered(control: mq.Socket, steering: mq.Socket) -> AsyncIterator[tuple[Any, Any, Any, trio.Event]]:
    """Run a streamer's proxy with a control; yield its ends, the steering socket and an event at its end."""
    ended = trio.Event()
    async with (
        streamer("inproc://steered") as (source, frontend, backend, sink),
        married(control, steering, "inproc://steering") as (_, remote),
        trio.open_nursery() as nursery,
    ):

        async def run(task_status: trio.TaskStatus[None]) -> None:
            await mq.proxy(frontend, backend, control=control, task_status=task_status)
            ended.set()

        await nursery.start(run)
        if isinstance(control, mq.Sub):
            control.subscribe(b"")
            await remote.wait_subscribed()
        yield source, sink, remote, ended
        nursery.cancel_scope.cancel()


async def test_a_paused_proxy_takes_nothing_until_it_is_resumed(deadline: None) -> None:
    async with steered(mq.Rep(), mq.Req()) as (source, sink, remote, _):
        assert await remote.request(b"PAUSE") == b""
        await source.send(b"later")
        await wait_all_tasks_blocked(0.01)
        with pytest.raises(trio.WouldBlock):
            sink.receive_nowait()
        assert await remote.request(b"PAUSE") == b""
        assert await remote.request(b"RESUME") == b""
        assert await sink.receive() == b"later"
        assert await remote.request(b"RESUME") == b""


@pytest.mark.parametrize(("control", "steering"), [(mq.Rep, mq.Req), (mq.Pair, mq.Pair), (mq.Pull, mq.Push),
                                                   (mq.Sub, mq.Pub)])  # fmt: skip
async def test_a_proxy_that_is_terminated_returns(control: type[Any], steering: type[Any], deadline: None) -> None:
    async with steered(control(), steering()) as (source, sink, remote, ended):
        await source.send(b"before")
        assert await sink.receive() == b"before"
        await remote.send(b"TERMINATE")
        await ended.wait()


async def test_statistics_count_parts_and_bytes(deadline: None) -> None:
    async with steered(mq.Pair(), mq.Pair()) as (source, sink, remote, _):
        await source.send(b"123")
        await source.send_multipart([b"", b"4567"])
        await sink.receive()
        await sink.receive_multipart()
        await remote.send(b"STATISTICS")
        frames = await remote.receive_multipart()
        assert [struct.unpack("=Q", frame)[0] for frame in frames] == [3, 7, 0, 0, 0, 0, 3, 7]


@pytest.mark.parametrize("frames", [[b"STOP"], [b""], [b"PAUSE", b"RESUME"]])
async def test_an_unknown_command_is_answered_with_the_known_ones(
    frames: list[bytes], deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with steered(mq.Rep(), mq.Req()) as (_, _, remote, ended):
        (answer,) = await remote.request_multipart(frames)
        assert answer.startswith(b"unknown command")
        assert answer.endswith(b"send PAUSE, RESUME, TERMINATE, STATISTICS")
        assert "unknown command" in caplog.text
        assert not ended.is_set()


async def test_a_control_that_cannot_answer_says_so(deadline: None, caplog: pytest.LogCaptureFixture) -> None:
    async with steered(mq.Pull(), mq.Push()) as (_, _, remote, ended):
        await remote.send(b"STATISTICS")
        await remote.send(b"nonsense")
        await remote.send(b"TERMINATE")
        await ended.wait()
        assert "cannot answer STATISTICS on a Pull: use a Rep or a Pair" in caplog.text
        assert "unknown command b'nonsense'" in caplog.text


# -- what cannot be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frontend", "backend", "says"),
    [
        (mq.Pull, mq.Pull, "a Pull and a Pull: neither can send what the other receives"),
        (mq.Push, mq.Pub, "neither can send"),
        (mq.Req, mq.Dealer, "Use a Dealer instead"),
        (mq.Rep, mq.Dealer, "Use a Router instead"),
        (mq.Server, mq.Client, "Use a Router instead"),
        (mq.Pull, mq.Scatter, "a message of a Pull is frames, one of a Scatter is one frame"),
        (mq.Dish, mq.Pub, "a message of a Dish is a group and a frame"),
    ],
)
async def test_types_that_cannot_be_joined_are_refused(
    frontend: type[Any], backend: type[Any], says: str, deadline: None
) -> None:
    async with frontend() as one, backend() as two:
        with pytest.raises(TypeError, match=says):
            await mq.proxy(one, two)


async def test_what_is_no_open_socket_is_refused(deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as push, mq.Pub() as pub, mq.Router() as router:
        with pytest.raises(TypeError, match="its backend is 'push', which is not a socket"):
            await mq.proxy(pull, "push")  # type: ignore[arg-type]
        with pytest.raises(mq.NotOpen, match="Push is not open"):
            await mq.proxy(pull, mq.Push())
        with pytest.raises(TypeError, match="a Pull to itself: neither can send"):
            await mq.proxy(pull, pull)
        with pytest.raises(TypeError, match="the capture of a proxy is one of Pub, XPub, Push, Pair, Dealer"):
            await mq.proxy(pull, push, router)
        with pytest.raises(TypeError, match="the control of a proxy is one of Pair, Rep, Pull, Sub; got a Pub"):
            await mq.proxy(pull, push, control=pub)
        with pytest.raises(ValueError, match="the capture of a proxy is a separate socket"):
            await mq.proxy(pull, push, push)


# -- with libzmq -------------------------------------------------------------------------------------------


async def test_clients_and_workers_of_libzmq_meet_through_our_proxy(wire_endpoint: str, deadline: None) -> None:
    other = wire_endpoint if wire_endpoint.endswith("*") else f"{wire_endpoint}-2"
    async with (
        opened(mq.Router(), mq.Dealer()) as (router, dealer),
        proxied(router, dealer),
        libzmq(zmq.REQ) as client,
        libzmq(zmq.REP) as worker,
    ):
        client.connect(router.bind(wire_endpoint))
        worker.connect(dealer.bind(other))
        for number in range(20):
            await client.send([b"question", b"%d" % number])
            assert await worker.receive() == [[b"question", b"%d" % number]]
            await worker.send([b"answer", b"%d" % number])
            assert await client.receive() == [[b"answer", b"%d" % number]]


async def test_subscribers_of_libzmq_hear_publishers_of_libzmq_through_our_proxy(
    wire_endpoint: str, deadline: None
) -> None:
    other = wire_endpoint if wire_endpoint.endswith("*") else f"{wire_endpoint}-2"
    async with (
        opened(mq.XSub(), mq.XPub()) as (xsub, xpub),
        proxied(xsub, xpub),
        libzmq(zmq.XPUB) as pub,
        libzmq(zmq.SUB, SUBSCRIBE=b"topic") as sub,  # type: ignore[arg-type]
    ):
        pub.connect(xsub.bind(wire_endpoint))
        sub.connect(xpub.bind(other))
        assert await pub.receive() == [[b"\1topic"]]
        await pub.send([b"topic", b"news"])
        assert await sub.receive() == [[b"topic", b"news"]]


async def test_our_sockets_meet_through_the_proxy_of_libzmq(wire_endpoint: str, deadline: None) -> None:
    other = wire_endpoint if wire_endpoint.endswith("*") else f"{wire_endpoint}-2"
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    frontend, backend, control = (context.socket(kind) for kind in (zmq.ROUTER, zmq.DEALER, zmq.REP))
    addresses = []
    for socket, address in ((frontend, wire_endpoint), (backend, other), (control, "tcp://127.0.0.1:*")):
        socket.bind(address)
        addresses.append(socket.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())

    async def echo(request: bytes | list[bytes]) -> bytes | list[bytes]:
        return request

    def run() -> None:
        zmq.proxy_steerable(frontend, backend, None, control)
        for socket in (frontend, backend, control):
            socket.close(linger=0)
        context.term()

    async with opened(mq.Req(), mq.Rep(), mq.Req()) as (client, worker, steering), trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, run)
        client.connect(addresses[0])
        worker.connect(addresses[1])
        steering.connect(addresses[2])
        nursery.start_soon(worker.serve, echo)
        for body in numbered(20):
            assert await client.request(body) == body
        statistics = await steering.request_multipart([b"STATISTICS"])
        assert [len(frame) for frame in statistics] == [8] * 8
        assert struct.unpack("=Q", statistics[0])[0] >= 20
        assert await steering.request(b"TERMINATE") == b""
        nursery.cancel_scope.cancel()


