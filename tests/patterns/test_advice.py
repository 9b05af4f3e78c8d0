"""What does somebody read who reaches for what is not there? What to write instead."""

from __future__ import annotations

import copy
import doctest
import inspect
import pickle
import pydoc
import re
from typing import Any
from unittest.mock import create_autospec

import pytest
import trio
import zmq
from trio.testing import MockClock

import mq
from mq import peers

from ..conftest import married
from ..interop.libzmq import libzmq


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [
        (mq.Pub, "receive", "receive with the mq.Sub at the other end"),
        (mq.Sub, "send", "send with the mq.Pub at the other end"),
        (mq.Dish, "send", "send with the mq.Radio at the other end"),
        (mq.Pub, "recv_string", "it only sends"),
        (mq.Sub, "send_json", "it only receives"),
        (mq.Req, "recv", "write 'await socket.receive()'"),
        (mq.Dish, "subscribe", "mq.Dish has join(group)"),
        (mq.XSub, "subscribe", r"mq.XSub sends b'\x01' + topic"),
        (mq.Sub, "join", "mq.Sub has subscribe(topic)"),
        (mq.Dealer, "request", "mq.Req has it"),
        (mq.Req, "serve", "mq.Rep and mq.Router have it"),
        (mq.Sub, "wait_subscribed", "mq.Pub and mq.XPub have it"),
        (mq.Dealer, "identity", "options are keyword arguments"),
        (mq.Sub, "RCVTIMEO", "trio.move_on_after(seconds)"),
        (mq.Rep, "last_endpoint", "bind() returns the endpoint"),
    ],
)
def test_a_name_of_another_type_or_of_pyzmq_leads_to_ours(kind: type[mq.Socket], name: str, advice: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(kind(), name)
    assert f"{kind.__name__} has no {name!r}: " in str(caught.value)
    assert advice in str(caught.value)


def test_an_attribute_that_would_be_an_option_cannot_be_set() -> None:
    with pytest.raises(AttributeError, match="options are keyword arguments"):
        mq.Dealer().identity = b"ann"  # type: ignore[attr-defined]


SOCKET_TYPES = [
    kind for kind in map(vars(mq).get, mq.__all__) if isinstance(kind, type) and issubclass(kind, mq.Socket)
]


@pytest.mark.parametrize("kind", SOCKET_TYPES)
def test_what_a_socket_lists_it_has(kind: type[mq.Socket]) -> None:
    assert [name for name in dir(kind) if not hasattr(kind, name)] == []
    assert {"bind", "connect", "aclose"} < set(dir(kind))
    if kind is not mq.Socket:
        instance = kind()
        public = [name for name in dir(instance) if not name.startswith("_")]
        assert "options" in public
        assert [name for name in public if not hasattr(instance, name)] == []


def test_what_the_module_lists_it_has() -> None:
    assert [name for name in dir(mq) if not hasattr(mq, name)] == []
    assert set(mq.__all__) < set(dir(mq))


@pytest.mark.parametrize("kind", SOCKET_TYPES)
def test_help_shows_nothing_that_a_socket_does_not_have(kind: type[mq.Socket]) -> None:
    page = pydoc.render_doc(kind, renderer=pydoc.plaintext)
    shown = set(re.findall(r"^ \|  (?:async )?(\w+)", page, re.M))
    assert {"bind", "connect"} < shown
    assert not shown & {"recv", "setsockopt", "linger", "LINGER", "poll", "context"}
    for name in ("send", "receive", "subscribe", "request", "serve"):
        assert (name in shown) == hasattr(kind, name), name


@pytest.mark.parametrize("kind", SOCKET_TYPES)
def test_tools_that_look_into_a_socket_type_see_what_it_has(kind: type[mq.Socket]) -> None:
    assert all(hasattr(kind, name) for name, _ in inspect.getmembers(kind))
    assert all(hasattr(kind, name) for name, _ in inspect.getmembers_static(kind))
    assert not inspect.isabstract(kind)
    assert doctest.DocTestFinder().find(kind)
    assert not hasattr(create_autospec(kind), "recv")


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda socket: pickle.loads(pickle.dumps(socket))])
async def test_a_socket_can_be_copied_until_it_is_open(duplicate: Any) -> None:
    push = mq.Push(send_hwm=7)
    async with duplicate(push) as twin:
        assert twin.options.send_hwm == 7
    async with push:
        with pytest.raises(TypeError, match="an open Push cannot be copied or pickled: pass its endpoint"):
            duplicate(push)


def test_names_that_a_socket_does_not_have_do_not_slow_down_those_that_it_has() -> None:
    """CPython specializes no look-up of an attribute in a class with ``__getattr__`` or ``__getattribute__``."""
    for kind in SOCKET_TYPES:
        assert "__getattr__" not in dir(kind)
        assert kind.__getattribute__ is object.__getattribute__
        assert kind.__setattr__ is object.__setattr__


@pytest.mark.parametrize("name", ["receive", "linger", "recv", "nonsense"])
def test_a_socket_of_no_type_explains_only_what_types_have(name: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(mq.Socket, name)
    assert ("open one of the types, such as mq.Pull" in str(caught.value)) == (name != "nonsense")


def test_a_socket_of_no_type_is_told_to_be_one() -> None:
    with pytest.raises(AttributeError, match=r"open one of the types, such as mq\.Pull"):
        mq.Socket()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Context", "there is no context"),
        ("Poller", "start a task for each socket"),
        ("PUB", "mq.Pub()"),
        ("XPUB", "mq.XPub()"),
        ("Again", "trio.WouldBlock"),
        ("SNDMORE", "send_multipart"),
        ("RCVTIMEO", "trio.move_on_after"),
        ("push", "write mq.Push"),
        ("XPUb", "write mq.XPub"),
    ],
)
def test_a_name_of_pyzmq_in_the_module_leads_to_ours(name: str, advice: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(mq, name)
    assert f"module 'mq' has no attribute {name!r}: " in str(caught.value)
    assert advice in str(caught.value)


def test_other_names_are_missing_as_they_always_are() -> None:
    with pytest.raises(AttributeError, match=r"^module 'mq' has no attribute 'nonsense'$"):
        mq.nonsense  # type: ignore[attr-defined] # noqa: B018


@pytest.mark.parametrize(
    ("kind", "option", "advice"),
    [
        (mq.Push, "sndhwm", "the option is called send_hwm"),
        (mq.Push, "ZMQ_SNDHWM", "the option is called send_hwm"),
        (mq.Push, "send_hmw", "did you mean send_hwm"),
        (mq.Dealer, "identity", "the option is called routing_id"),
        (mq.Req, "timeout", "trio.fail_after(seconds)"),
        (mq.Sub, "subscribe", "call subscribe(topic)"),
        (mq.Pub, "zzz", "the options are linger, send_hwm"),
        (mq.Push, "connect", "call bind(endpoint) or connect(endpoint)"),
        (mq.Push, "endpoint", "call bind(endpoint) or connect(endpoint)"),
        (mq.Push, "options", "pass each option as a keyword argument, such as linger"),
    ],
)
def test_an_option_of_another_name_leads_to_ours(kind: Any, option: str, advice: str) -> None:
    with pytest.raises(TypeError) as caught:
        kind(**{option: 1})
    assert f"{kind.__name__}() has no option {option!r}: " in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize("scheme", ["tipc", "norm"])
def test_a_transport_that_libzmq_has_is_said_to_be_missing(scheme: str) -> None:
    with pytest.raises(mq.UnsupportedScheme, match=rf"the scheme '{scheme}', which mq lacks so far: use one of"):
        mq.endpoint.parse(f"{scheme}://x")


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "mq" and record.levelname == "WARNING"]


@pytest.mark.parametrize(
    ("receiver", "sender", "advice"),
    [
        (mq.Sub, mq.Pub, "the socket has no subscription; call subscribe(topic)"),
        (mq.Dish, mq.Radio, "the socket has joined no group; call join(group)"),
    ],
)
async def test_who_receives_and_has_asked_for_nothing_is_told_so_once(
    receiver: type[Any], sender: type[Any], advice: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with married(receiver(), sender(), "inproc://deaf") as (deaf, _):
        for _ in range(3):
            with trio.move_on_after(60):
                await deaf.receive()
    (warning,) = _warnings(caplog)
    assert advice in warning


async def test_who_subscribes_while_it_waits_receives(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with married(mq.Sub(), mq.Pub(), "inproc://hears") as (sub, pub), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def later() -> None:
            await trio.sleep(peers.PATIENCE * 2)
            sub.subscribe(b"")
            await pub.wait_subscribed()
            await pub.send(b"hello")

        assert await sub.receive() == b"hello"


@pytest.mark.parametrize("bind", [True, False])
async def test_who_asks_and_nobody_is_there_is_told_so(
    bind: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Req(linger=0) as req:
        (req.bind if bind else req.connect)("inproc://nobody")
        with trio.move_on_after(60):
            await req.request(b"anybody?")
    (warning,) = _warnings(caplog)
    assert warning.startswith("Req.request() waits: ")


async def test_who_waits_for_subscribers_at_an_endpoint_that_is_not_reached_is_told_so(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Pub() as pub:
        pub.connect("inproc://nobody")
        with trio.move_on_after(60):
            await pub.wait_subscribed()
    (warning,) = _warnings(caplog)
    assert warning.startswith("Pub.wait_subscribed() waits: inproc://nobody is not reached")


async def test_a_handler_is_a_function() -> None:
    async with mq.Rep() as rep:
        with pytest.raises(TypeError, match="a handler is an async function of one request; got None"):
            await rep.serve(None)  # type: ignore[arg-type]


async def test_a_handler_that_is_not_async_is_told_so(deadline: None) -> None:
    async with married(mq.Rep(), mq.Req(), "inproc://plain") as (rep, req), trio.open_nursery() as nursery:

        async def serve() -> None:
            await rep.serve(lambda message: message, on_error=lambda error: str(error).encode())

        nursery.start_soon(serve)
        assert b"this one returned b'x': write 'async def'" in await req.request(b"x")
        nursery.cancel_scope.cancel()


async def test_requests_that_a_dealer_sends_without_an_empty_frame_are_said_once(
    wire_endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Rep() as rep, libzmq(zmq.DEALER) as dealer:
        dealer.connect(rep.bind(wire_endpoint))
        await dealer.send(*[[b"no", b"delimiter"]] * 3)
        await dealer.send([b"", b"right"])
        assert await rep.receive() == b"right"
        assert rep.statistics().dropped == {"requests without an empty frame before their body": 3}
    (warning,) = _warnings(caplog)
    assert warning.startswith("Rep dropped a message from ")
    assert "a Dealer must send an empty frame before the body: send_multipart([b'', body])" in warning
