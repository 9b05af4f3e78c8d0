"""Does serve() answer everybody, whatever its handlers do, and end when it is told to?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from .meeting import numbered

Server = Callable[..., Any]
servers = pytest.mark.parametrize("server", [mq.Rep, mq.Router])


async def echo(message: Any) -> Any:
    return message


@servers
async def test_as_many_handlers_run_at_once_as_concurrency_says(
    endpoint: str, server: Server, deadline: None
) -> None:
    running = most = 0
    go = trio.Event()

    async def handler(message: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1
        return message

    async with married(server(), mq.Req(), endpoint) as (serving, req), trio.open_nursery() as nursery:
        await nursery.start(_serve(serving, handler, concurrency=3))
        async with trio.open_nursery() as clients:
            for message in numbered(10):
                clients.start_soon(req.request, message)
            await wait_all_tasks_blocked(0.01)
            assert running == 3
            go.set()
        assert most == 3
        nursery.cancel_scope.cancel()


def _serve(serving: Any, handler: Any, **options: Any) -> Any:
    """Return `serve` with its options, to start in a nursery."""

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        await serving.serve(handler, task_status=task_status, **options)

    return serve


@servers
async def test_one_at_a_time_keeps_the_order(endpoint: str, server: Server, deadline: None) -> None:
    heard: list[bytes] = []

    async def handler(message: Any) -> Any:
        for _ in range(len(heard) % 3):
            await trio.lowlevel.checkpoint()
        heard.append(message)
        return message

    async with married(server(), mq.Dealer(), endpoint) as (serving, dealer), trio.open_nursery() as nursery:
        nursery.start_soon(_run(serving, handler, concurrency=1))
        for message in numbered(50):
            await dealer.send_multipart([b"", message])
        assert [await dealer.receive_multipart() for _ in range(50)] == [[b"", message] for message in numbered(50)]
        assert heard == numbered(50)
        nursery.cancel_scope.cancel()


def _run(serving: Any, handler: Any, **options: Any) -> Any:
    async def serve() -> None:
        await serving.serve(handler, **options)

    return serve


@servers
async def test_a_handler_that_raises_costs_its_own_request_only(
    endpoint: str, server: Server, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(message: Any) -> Any:
        if message == b"bad":
            raise ValueError("it is bad")
        return message if message != b"worse" else "no bytes"

    async with married(server(), mq.Req(), endpoint) as (serving, req), trio.open_nursery() as nursery:
        nursery.start_soon(_run(serving, handler, concurrency=4))
        nursery.start_soon(req.request, b"bad")
        nursery.start_soon(req.request, b"worse")
        for message in numbered(10):
            assert await req.request(message) == message
        await until(lambda: len(caplog.records) == 2)
        nursery.cancel_scope.cancel()
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert "a request of 3 bytes, which gets no reply" in caplog.text
    assert "it is bad" in caplog.text
    assert "a frame is bytes, got the str" in caplog.text


@servers
async def test_on_error_makes_a_reply_of_what_a_handler_raised(
    endpoint: str, server: Server, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(message: Any) -> Any:
        if message == b"odd":
            return object()
        raise ValueError(message.decode())

    def on_error(error: Exception) -> Any:
        if isinstance(error, TypeError):
            return [b"error", b"of ours"]
        if str(error) == "hopeless":
            raise error
        return None if str(error) == "silent" else b"error: " + str(error).encode()

    async with married(server(), mq.Req(), endpoint) as (serving, req), trio.open_nursery() as nursery:
        nursery.start_soon(_run(serving, handler, on_error=on_error))
        assert await req.request(b"one") == b"error: one"
        assert await req.request_multipart([b"odd"]) == [b"error", b"of ours"]
        assert not caplog.records
        for message in (b"silent", b"hopeless"):
            nursery.start_soon(req.request, message)
        assert await req.request(b"two") == b"error: two"
        await until(lambda: len(caplog.records) == 1)
        nursery.cancel_scope.cancel()


@servers
async def test_none_is_no_reply(endpoint: str, server: Server, deadline: None) -> None:
    async def handler(message: Any) -> Any:
        return None if message == b"tell" else message

    async with married(server(), mq.Dealer(), endpoint) as (serving, dealer), trio.open_nursery() as nursery:
        nursery.start_soon(_run(serving, handler, concurrency=1))
        for message in (b"tell", b"tell", b"ask"):
            await dealer.send_multipart([b"", message])
        assert await dealer.receive_multipart() == [b"", b"ask"]
        assert serving.statistics().messages_out == 1
        nursery.cancel_scope.cancel()


@servers
async def test_messages_of_several_frames_and_none(endpoint: str, server: Server, deadline: None) -> None:
    async def handler(message: Any) -> Any:
        return tuple(reversed(message)) if isinstance(message, list) else bytearray(message)

    async with married(server(), mq.Req(), endpoint) as (serving, req), trio.open_nursery() as nursery:
        nursery.start_soon(_run(serving, handler))
        assert await req.request_multipart([b"a", b"", b"c"]) == [b"c", b"", b"a"]
        assert await req.request(b"") == b""
        nursery.cancel_scope.cancel()


async def test_a_router_serves_dealers_that_send_no_empty_frame(endpoint: str, deadline: None) -> None:
    async with married(mq.Router(), mq.Dealer(), endpoint) as (router, dealer), trio.open_nursery() as nursery:
        nursery.start_soon(_run(router, echo, concurrency=1))
        for frames in ([b"bare"], [b"two", b"frames"], [b"", b"empty first"], [b"way", b"back", b"", b"body"]):
            await dealer.send_multipart(frames)
            assert await dealer.receive_multipart() == frames
        nursery.cancel_scope.cancel()


@servers
async def test_cancelled_it_cancels_its_handlers_and_loses_no_request_that_it_had_not_begun(
    endpoint: str, server: Server, deadline: None
) -> None:
    begun: list[bytes] = []
    cancelled: list[bytes] = []

    async def handler(message: Any) -> Any:
        begun.append(message)
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(message)
            raise

    async with married(server(), mq.Dealer(), endpoint) as (serving, dealer):
        for message in numbered(10):
            await dealer.send_multipart([b"", message])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run(serving, handler, concurrency=3))
            await until(lambda: len(begun) == 3)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert sorted(cancelled) == begun == numbered(3)
        for message in numbered(10)[3:]:
            assert (await serving.receive_multipart())[-1] == message
            if server is mq.Rep:
                await serving.send(b"")


@servers
async def test_cancelled_at_any_moment_it_loses_no_request(endpoint: str, server: Server, deadline: None) -> None:
    begun: list[bytes] = []

    async def handler(message: Any) -> Any:
        begun.append(message)

    async with married(server(), mq.Dealer(), endpoint) as (serving, dealer), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            for message in numbered(300):
                await dealer.send_multipart([b"", message])
                await trio.lowlevel.checkpoint()

        ticks = 0
        while len(begun) < 300:
            ticks = (ticks + 1) % 7
            async with trio.open_nursery() as one_time:
                one_time.start_soon(_run(serving, handler, concurrency=2))
                for _ in range(ticks):
                    await trio.lowlevel.checkpoint()
                one_time.cancel_scope.cancel()
    assert sorted(begun) == sorted(numbered(300))


@servers
@pytest.mark.parametrize("busy", [False, True])
async def test_closing_the_socket_ends_it_also_while_all_handlers_are_busy(
    endpoint: str, server: Server, busy: bool, deadline: None
) -> None:
    ended: list[str] = []

    async def handler(message: Any) -> Any:
        try:
            await trio.sleep_forever()
        finally:
            ended.append("handler")

    async with server() as serving, mq.Req() as req, trio.open_nursery() as nursery:
        req.connect(serving.bind(endpoint))

        @nursery.start_soon
        async def serve() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await serving.serve(handler, concurrency=1)
            ended.append("serve")

        if busy:
            nursery.start_soon(_fails_with(mq.PeerLost, trio.ClosedResourceError), req.request, b"")
            await until(lambda: serving.statistics().messages_in == 1)
        await wait_all_tasks_blocked()
        await serving.aclose()
        await until(lambda: ended == (["handler", "serve"] if busy else ["serve"]))
        with pytest.raises(trio.ClosedResourceError):
            await serving.serve(handler)
        await req.aclose()


@servers
async def test_a_handler_may_close_its_socket(endpoint: str, server: Server, deadline: None) -> None:
    async with server() as serving, mq.Req() as req, trio.open_nursery() as nursery:
        req.connect(serving.bind(endpoint))

        async def handler(message: Any) -> Any:
            await serving.aclose()

        nursery.start_soon(_fails_with(mq.PeerLost), req.request, b"stop")
        with pytest.raises(trio.ClosedResourceError):
            await serving.serve(handler)


def _fails_with(*kinds: type[Exception]) -> Any:
    async def call(function: Any, *arguments: Any) -> None:
        with pytest.raises(kinds):
            await function(*arguments)

    return call


@servers
async def test_a_reply_to_a_peer_that_has_gone_is_dropped_and_counted(
    endpoint: str, server: Server, deadline: None
) -> None:
    go = trio.Event()

    async def handler(message: Any) -> Any:
        await go.wait()
        return message

    async with server() as serving, serving.monitor() as events, trio.open_nursery() as nursery:
        address = serving.bind(endpoint)
        nursery.start_soon(_run(serving, handler))
        async with mq.Req() as req:
            req.connect(address)
            await req.send(b"")
            await until(lambda: serving.statistics().messages_in == 1)
        await next_event(events, mq.Disconnected)
        go.set()
        dropped = await next_event(events, mq.Dropped)
        assert (dropped.count, dropped.reason) == (1, "replies to a peer that is gone")
        async with mq.Req() as req:
            req.connect(address)
            assert await req.request(b"next") == b"next"
        nursery.cancel_scope.cancel()


@servers
@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, None])
async def test_concurrency_is_a_whole_number_of_at_least_one(server: Server, concurrency: Any) -> None:
    async with server() as serving:
        with pytest.raises(ValueError, match="concurrency is a whole number of at least 1"):
            await serving.serve(echo, concurrency=concurrency)


@servers
async def test_waiting_for_clients_is_no_reason_for_a_warning(
    server: Server, caplog: pytest.LogCaptureFixture, autojump_clock: Any
) -> None:
    async with server() as serving:
        serving.bind("inproc://idle-service")
        with trio.move_on_after(10):
            await serving.serve(echo)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_second_service_of_a_rep_is_told_so(endpoint: str, deadline: None) -> None:
    async with mq.Rep() as rep, trio.open_nursery() as nursery:
        rep.bind(endpoint)
        nursery.start_soon(rep.serve, echo)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await rep.serve(echo)
        nursery.cancel_scope.cancel()
