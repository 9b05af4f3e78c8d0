"""What does want of descriptors, memory and threads cost? Time and a line in the log; never the socket."""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import mq

from ..conftest import married, next_event

SOON: dict[str, Any] = {"reconnect_interval": 0.005, "reconnect_interval_max": 0.02}


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open no further file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log of ``mq`` warns of."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_listener_without_descriptors_takes_its_clients_when_there_are_some(
    wire_endpoint: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    monkeypatch.setattr("mq.links.listener._BREATH", 0.005)
    async with married(mq.Router(), mq.Dealer(), wire_endpoint) as (router, friend), router.monitor() as events:
        address = router.statistics().peers[0].endpoint
        streams = [trio.socket.socket(_family(address)) for _ in range(3)]
        with no_descriptors():
            for stream in streams:
                await stream.connect(_where(address))
            failed = await next_event(events, mq.AcceptFailed)
            assert "ulimit -n" in failed.reason
            await trio.sleep(0.05)  # several attempts
            await friend.send(b"who is there is served")
            assert (await router.receive_multipart())[1:] == [b"who is there is served"]
        for _ in streams:
            event = await anext(events)
            assert isinstance(event, mq.Accepted)  # one report of the trouble, and none any more
        for stream in streams:
            stream.close()
    (line,) = said(caplog)
    assert line.startswith(f"Router: {address}: cannot accept connections for now, so clients wait: ")
    assert "ulimit -n" in line


async def test_a_connecter_without_descriptors_connects_when_there_are_some(
    wire_endpoint: str, caplog: pytest.LogCaptureFixture, deadline: None
) -> None:
    async with mq.Pull() as pull, mq.Push(**SOON) as push, push.monitor() as events:
        address = pull.bind(wire_endpoint)
        with no_descriptors():
            push.connect(address)
            for _ in range(3):
                assert "ulimit -n" in (await next_event(events, mq.ConnectDelayed)).reason
        await push.send(b"late")
        assert await pull.receive() == b"late"
    (line,) = said(caplog)
    assert line.startswith(f"Push: {address}: cannot connect for now: ")
    assert "ulimit -n" in line


async def test_a_shortage_that_comes_and_goes_is_said_once(
    wire_endpoint: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    monkeypatch.setattr("mq.links.listener._BREATH", 0.001)
    async with mq.Router() as router, router.monitor() as events:
        address = router.bind(wire_endpoint)
        for _ in range(3):
            stream = trio.socket.socket(_family(address))
            with no_descriptors():
                await stream.connect(_where(address))
                await next_event(events, mq.AcceptFailed)
            await next_event(events, mq.Accepted)
            stream.close()
            await next_event(events, mq.HandshakeFailed)  # its descriptor is free again
    assert len(said(caplog)) == 1


async def test_bind_without_descriptors_says_what_to_raise(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull:
        with no_descriptors(), pytest.raises(mq.BindError, match="ulimit -n"):
            pull.bind(wire_endpoint)
        pull.bind(wire_endpoint)


# -- what the system cannot even be asked ------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    [{"tcp_max_retransmit_time": 1e306}, {"send_buffer": 2**40}, {"priority": 2**70}, {"tcp_keepalive_idle": 1e300}],
    ids=lambda option: next(iter(option)),
)
async def test_a_number_that_no_system_takes_is_a_reason(option: dict[str, Any], deadline: None) -> None:
    options = {"tcp_keepalive": True, **option}
    async with mq.Pull() as pull, mq.Push(linger=0, **SOON, **options) as push, push.monitor() as events:
        push.connect(pull.bind("tcp://127.0.0.1:*"))
        for _ in range(2):
            delayed = await next_event(events, mq.ConnectDelayed)
            assert f"the system refuses {next(iter(option))}=" in delayed.reason
        with pytest.raises(mq.BindError, match=f"the system refuses {next(iter(option))}="):
            push.bind("tcp://127.0.0.1:*")


async def test_reading_much_at_once_asks_for_no_more_memory_than_there_is(wire_endpoint: str, deadline: None) -> None:
    much: dict[str, Any] = {"read_size": 2**62, "backlog": 2**40}
    async with married(mq.Pull(**much), mq.Push(**much), wire_endpoint) as (pull, push):
        await push.send(bytes(3_000_000))
        assert await pull.receive() == bytes(3_000_000)


async def test_a_descriptor_that_no_system_has_is_refused(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull(use_fd=2**40) as pull:
        with pytest.raises(mq.BindError, match="use_fd=1099511627776 is not an open socket"):
            pull.bind(wire_endpoint)


# -- in a process of its own -------------------------------------------------------------------------------


@pytest.mark.parametrize(("want", "scheme"), [("memory", "tcp"), ("memory", "ipc"), ("threads", "tcp")])
def test_a_process_that_has_too_little_goes_on(want: str, scheme: str) -> None:
    command = [sys.executable, "-m", "tests.links.short_of", want, scheme]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["well"]), done.stdout + done.stderr


# -- and what is no shortage -------------------------------------------------------------------------------


async def test_a_fault_in_the_background_comes_out_of_the_block_as_itself(
    wire_endpoint: str, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    with pytest.raises(ZeroDivisionError, match="a fault of ours") as caught:  # noqa: PT012 - the block raises
        async with mq.Pull() as pull, mq.Push() as push:
            monkeypatch.setattr("mq.links.session.handshake", fault)
            push.connect(pull.bind(wire_endpoint))
            await trio.sleep_forever()
    assert "is a fault of mq" in caught.value.__notes__[0]


def _family(address: str) -> int:
    return trio.socket.AF_UNIX if address.startswith("ipc") else trio.socket.AF_INET


def _where(address: str) -> Any:
    place = address.partition("://")[2]
    return place if address.startswith("ipc") else ("127.0.0.1", int(place.rpartition(":")[2]))
