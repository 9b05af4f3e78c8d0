"""Does a silent name server delay only the attempts that need its answer?"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, field

import mq
from mq.transports import names

from ..conftest import next_event, until

SOON: dict[str, Any] = {"reconnect_interval": 0.001, "reconnect_interval_max": 0.001, "linger": 0}


@define
class NameServer:
    """Replaces the system's resolver. Knows the names in ``known``; those in ``silent`` wait until ``over`` is set."""

    known: dict[str, list[str]] = field(factory=dict)
    silent: set[str] = field(factory=set)
    over: threading.Event = field(factory=threading.Event)
    asked: list[str] = field(factory=list)
    asking: int = 0

    def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if flags & socket.AI_NUMERICHOST:
            return _getaddrinfo(host, port, family, type, proto, flags)
        self.asked.append(name)
        if name in self.silent:
            self.asking += 1
            self.over.wait(20)
            self.asking -= 1
        if name not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = []
        for address in self.known[name]:
            found += _getaddrinfo(address, port, family, type, proto, socket.AI_NUMERICHOST)
        return found


_getaddrinfo = socket.getaddrinfo


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.over.set()


def _port(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


async def _reaches(host: str) -> None:
    async with mq.Pull() as pull, mq.Push() as push:
        push.connect(f"tcp://{host}:{_port(pull.bind('tcp://127.0.0.1:*'))}")
        await push.send(b"hello")
        assert await pull.receive() == b"hello"


async def test_a_silent_name_server_takes_neither_the_programs_threads_nor_other_names(
    name_server: NameServer, deadline: None
) -> None:
    name_server.silent |= {f"silent{number}.test" for number in range(50)}
    name_server.known["healthy.test"] = ["127.0.0.1"]
    async with mq.Push(linger=0) as push:
        for name in name_server.silent:
            push.connect(f"tcp://{name}:1")
        await until(lambda: name_server.asking == 50)
        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        await _reaches("healthy.test")


async def test_there_is_one_look_up_at_a_time_for_a_name(name_server: NameServer, deadline: None) -> None:
    name_server.silent.add("silent.test")
    name_server.known["silent.test"] = ["127.0.0.1"]
    async with mq.Push(**SOON) as push, mq.Push(**SOON) as other, mq.Pull() as pull, other.monitor() as events:
        port = _port(pull.bind("tcp://127.0.0.1:*"))
        for number in range(1, 20):
            push.connect(f"tcp://silent.test:{number}")
        other.connect(f"tcp://silent.test:{port}")
        await until(lambda: name_server.asking == 1)
        name_server.over.set()
        assert (await next_event(events, mq.Connected)).peer == f"tcp://127.0.0.1:{port}"
    assert name_server.asked[0] == "silent.test"


async def test_an_attempt_that_ends_first_leaves_its_look_up_to_the_next(
    name_server: NameServer, deadline: None
) -> None:
    name_server.silent.add("silent.test")
    name_server.known["silent.test"] = ["127.0.0.1"]
    async with mq.Pull() as pull, mq.Push(connect_timeout=0.001, **SOON) as push, push.monitor() as events:
        push.connect(f"tcp://silent.test:{_port(pull.bind('tcp://127.0.0.1:*'))}")
        for _ in range(10):
            assert "no answer within 0.001 s" in (await next_event(events, mq.ConnectDelayed)).reason
        await until(lambda: name_server.asking == 1)  # the thread may start late
        assert name_server.asked == ["silent.test"]


async def test_closing_and_disconnecting_wait_for_no_name_server(name_server: NameServer, deadline: None) -> None:
    name_server.silent |= {"one.test", "other.test"}
    async with mq.Push(linger=0) as push, push.monitor() as events:
        push.connect("tcp://one.test:1")
        push.connect("tcp://other.test:1")
        await until(lambda: name_server.asking == 2)
        push.disconnect("tcp://one.test:1")
        await next_event(events, mq.Closed)
    assert name_server.asking == 2


def test_a_look_up_may_end_after_its_run(name_server: NameServer) -> None:
    name_server.silent.add("silent.test")

    async def main() -> None:
        async with mq.Push(linger=0) as push:
            push.connect("tcp://silent.test:1")
            await until(lambda: len(name_server.asked) > asked)

    asked = 0
    before = threading.excepthook
    raised: list[Any] = []
    threading.excepthook = raised.append
    try:
        trio.run(main)
        asked = 1
        name_server.over.set()
        trio.run(main)  # a run of its own, with look-ups of its own
    finally:
        threading.excepthook = before
    assert not raised
    assert name_server.asked == ["silent.test"] * 2


async def test_the_number_of_look_ups_is_bounded(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    monkeypatch.setattr(names, "MOST", 2)
    name_server.silent |= {"1.test", "2.test", "3.test", "4.test"}
    async with mq.Push(linger=0) as push, push.monitor() as events:
        for number in range(1, 5):
            push.connect(f"tcp://{number}.test:1")
        await until(lambda: name_server.asking == 2)
        await trio.testing.wait_all_tasks_blocked()
        assert len(name_server.asked) == 2
        name_server.over.set()
        while len(set(name_server.asked)) < 4:
            assert "not known" in (await next_event(events, mq.ConnectDelayed)).reason


async def test_want_of_a_thread_is_reported_and_passes(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    name_server.known["service.test"] = ["127.0.0.1"]
    async with mq.Pull() as pull, mq.Push(**SOON) as push, push.monitor() as events:
        with monkeypatch.context() as without:
            without.setattr(trio.lowlevel, "start_thread_soon", refuse)
            push.connect(f"tcp://service.test:{_port(pull.bind('tcp://127.0.0.1:*'))}")
            for _ in range(2):
                reason = (await next_event(events, mq.ConnectDelayed)).reason
                assert reason.startswith("no thread can be started")
                assert "ulimit -u" in reason
        await push.send(b"hello")
        assert await pull.receive() == b"hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1"])
async def test_numbers_need_no_thread(
    host: str, name_server: NameServer, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    monkeypatch.setattr(trio.lowlevel, "start_thread_soon", None)
    await _reaches(host)


async def test_a_name_that_is_not_known_is_reported(name_server: NameServer, deadline: None) -> None:
    async with mq.Push(**SOON) as push, push.monitor() as events:
        push.connect("tcp://nobody.test:1")
        for _ in range(3):
            assert (await next_event(events, mq.ConnectDelayed)).reason == "Name or service not known"


async def test_other_alphabets_are_looked_up_by_idna_2008(name_server: NameServer, deadline: None) -> None:
    name_server.known["xn--strae-oqa.test"] = ["127.0.0.1"]
    await _reaches("Straße.test")


async def test_a_resolver_of_the_program_is_asked_instead(name_server: NameServer, deadline: None) -> None:
    class Resolver(trio.abc.HostnameResolver):
        async def getaddrinfo(self, host: Any, port: Any, *_: Any) -> Any:  # type: ignore[override]
            await trio.lowlevel.checkpoint()
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", real if port == 1 else port))]

        async def getnameinfo(self, *_: Any) -> Any:
            raise AssertionError

    trio.socket.set_custom_hostname_resolver(Resolver())
    async with mq.Pull() as pull, mq.Push() as push:
        real = _port(pull.bind("tcp://127.0.0.1:*"))
        push.connect("tcp://service.test:1")
        await push.send(b"hello")
        assert await pull.receive() == b"hello"
    await _reaches("other.test")
    assert not name_server.asked


async def test_an_error_is_each_waiters_own(name_server: NameServer, deadline: None) -> None:
    errors = []

    async def ask() -> None:
        with pytest.raises(OSError, match="not known") as caught:
            await names.look_up("nobody.test", 1)
        errors.append(caught.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    assert name_server.asked == ["nobody.test"]
    assert errors[0] is not errors[1]
    assert errors[0].errno == socket.EAI_NONAME


async def test_a_name_without_addresses_is_an_error(name_server: NameServer, deadline: None) -> None:
    name_server.known["empty.test"] = []
    with pytest.raises(OSError, match=r"empty\.test has no address") as caught:
        await names.look_up("empty.test", 1)
    assert caught.value.errno == errno.EADDRNOTAVAIL
