"""What does a monitor tell, and in which order? Both sides of connections that come and go."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

import mq

from ..conftest import next_event, until
from .meeting import reserved


async def _collect(socket: mq.Socket, events: list[Any], task_status: Any) -> None:
    async with socket.monitor() as stream:
        task_status.started()
        async for event in stream:
            events.append(event)


def _kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


async def test_both_sides_report_a_connection_from_beginning_to_end(wire_endpoint: str, deadline: None) -> None:
    bound: list[Any] = []
    connected: list[Any] = []
    async with trio.open_nursery() as nursery, mq.Pull() as pull:
        await nursery.start(_collect, pull, bound)
        address = pull.bind(wire_endpoint)
        async with mq.Push() as push:
            await nursery.start(_collect, push, connected)
            push.connect(address)
            await push.wait_connected()
            await pull.wait_connected()
        await until(lambda: not pull.statistics().peers)
    assert _kinds(bound) == ["Listening", "Accepted", "Handshaken", "Disconnected", "Closed"]
    assert _kinds(connected) == ["Connected", "Handshaken", "Disconnected", "Closed"]
    assert {event.endpoint for event in bound + connected} == {address}
    accepted, shaken, lost = bound[1:4]
    assert accepted.peer == shaken.peer == lost.peer != ""
    assert (shaken.socket_type, shaken.version, shaken.mechanism) == ("PUSH", (3, 1), "NULL")
    assert "closed the connection" in lost.reason
    assert connected[1].socket_type == "PULL"
    assert "the socket closed" in connected[2].reason


async def test_inproc_reports_what_it_has(deadline: None) -> None:
    bound: list[Any] = []
    connected: list[Any] = []
    async with trio.open_nursery() as nursery, mq.Pull() as pull:
        await nursery.start(_collect, pull, bound)
        pull.bind("inproc://watched")
        async with mq.Push() as push:
            await nursery.start(_collect, push, connected)
            push.connect("inproc://watched")
            await push.wait_connected()
    assert _kinds(bound) == ["Listening", "Handshaken", "Disconnected", "Closed"]
    assert sorted(_kinds(connected)) == ["Closed", "Connected", "Disconnected", "Handshaken"]
    assert _kinds(connected)[2:] == ["Disconnected", "Closed"]
    assert {event.endpoint for event in bound + connected} == {"inproc://watched"}
    assert bound[1].socket_type == "PUSH"


async def test_a_tcp_peer_is_named_by_its_address_and_an_ipc_peer_by_its_process(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Pull() as pull, mq.Push() as push, pull.monitor() as events:
        push.connect(pull.bind(wire_endpoint))
        accepted = await next_event(events, mq.Accepted)
    assert accepted.peer.startswith("tcp://127.0.0.1:" if wire_endpoint.startswith("tcp") else "pid ")


async def test_an_endpoint_that_does_not_answer_is_tried_again_with_growing_pauses(
    wire_endpoint: str, deadline: None
) -> None:
    address = await reserved(wire_endpoint)
    push = mq.Push(reconnect_interval=0.001, reconnect_interval_max=0.01)
    async with push, push.monitor() as events:
        push.connect(address)
        delays = []
        for _ in range(10):
            delayed = await events.receive()
            assert isinstance(delayed, mq.ConnectDelayed)
            assert delayed.endpoint == address
            assert delayed.reason
            retried = await events.receive()
            assert isinstance(retried, mq.ConnectRetried)
            delays.append(retried.delay)
        for attempt, delay in enumerate(delays):
            longest = min(0.01, 0.001 * 2**attempt)
            assert longest / 2 <= delay <= longest
        async with mq.Pull() as pull:
            pull.bind(address)
            await next_event(events, mq.Connected)
            await next_event(events, mq.Handshaken)


async def test_pauses_start_anew_after_a_connection(wire_endpoint: str, deadline: None) -> None:
    address = await reserved(wire_endpoint)
    push = mq.Push(reconnect_interval=0.001, reconnect_interval_max=10.0)
    async with push, push.monitor() as events:
        push.connect(address)
        for _ in range(5):
            await next_event(events, mq.ConnectRetried)
        async with mq.Pull() as pull:
            pull.bind(address)
            await next_event(events, mq.Handshaken)
        await next_event(events, mq.Disconnected)
        assert (await next_event(events, mq.ConnectRetried)).delay <= 0.001


async def test_a_monitor_ends_when_its_socket_closes(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, pull.monitor() as events:
        address = pull.bind(endpoint)
        await pull.aclose()
        got = [event async for event in events]
    assert got == [mq.Listening(endpoint=address), mq.Closed(endpoint=address)]


async def test_several_monitors_see_the_same_and_end_by_themselves(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, pull.monitor() as first:
        async with pull.monitor() as second:
            address = pull.bind(endpoint)
            assert await first.receive() == await second.receive() == mq.Listening(endpoint=address)
        pull.unbind(address)
        assert await first.receive() == mq.Closed(endpoint=address)


async def test_a_monitor_that_nobody_reads_holds_nothing_up_and_is_said_once(
    deadline: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "mq")
    monkeypatch.setattr("mq.monitors._LIMIT", 100)
    async with mq.Pull() as pull:
        async with pull.monitor(), pull.monitor() as read:
            for number in range(60):
                pull.unbind(pull.bind(f"inproc://unread-{number}"))
                for _ in range(2):
                    await read.receive()
        said = [record.getMessage() for record in caplog.records if "monitor" in record.getMessage()]
    assert len(said) == 2
    assert said[0].startswith("Pull has a monitor that nobody reads: 100 events wait in it")
    assert said[1] == "Pull: a monitor that nobody read has lost 20 events in all"


async def test_an_unbound_endpoint_is_reported_closed(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as push, pull.monitor() as events:
        address = pull.bind(endpoint)
        push.connect(address)
        await pull.wait_connected()
        pull.unbind(address)
        assert (await next_event(events, mq.Disconnected)).endpoint == address
        assert (await next_event(events, mq.Closed)).endpoint == address


async def test_a_monitor_tells_what_the_peers_application_says_of_itself(endpoint: str, deadline: None) -> None:
    pull, push = mq.Pull(metadata={"X-Unit": "7"}), mq.Push(metadata={"X-Line": "é"})
    async with pull, push, pull.monitor() as bound, push.monitor() as connected:
        push.connect(pull.bind(endpoint))
        assert (await next_event(bound, mq.Handshaken)).metadata == {"X-Line": "é"}
        assert (await next_event(connected, mq.Handshaken)).metadata == {"X-Unit": "7"}
