"""Does a socket connect through a SOCKS 5 proxy if the option is set?"""

from __future__ import annotations

import errno
import importlib.util
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import zmq

import mq
from mq.transports.socks import dialogue

from ..conftest import next_event
from ..interop.libzmq import libzmq
from ..links.raw import raw_server
from .proxy import Proxy, byte_by_byte, proxy

SOON: dict[str, Any] = {"reconnect_interval": 0.01, "reconnect_interval_max": 0.01}


def port_of(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


async def talk(through: str, connect: str = "tcp://127.0.0.1:{port}", bind: str = "tcp://127.0.0.1:*", **options: Any
               ) -> tuple[int, str]:  # fmt: skip
    """Send a message both ways ``through`` a proxy. Return the requested port and the reported peer."""
    pair = mq.Pair(socks_proxy=through, **SOON, **options)
    async with mq.Pair() as other, pair, pair.monitor() as events:
        port = port_of(other.bind(bind))
        pair.connect(connect.format(port=port))
        await pair.send(b"there")
        assert await other.receive() == b"there"
        await other.send(b"and back")
        assert await pair.receive() == b"and back"
        return port, (await next_event(events, mq.Connected)).peer


async def test_messages_go_through_the_proxy(deadline: None) -> None:
    async with proxy() as between:
        port, peer = await talk(between.address)
    assert between.asked == [(1, bytes([127, 0, 0, 1]), port)]
    assert peer == f"tcp://127.0.0.1:{port}"


async def test_names_are_the_proxys_to_look_up(deadline: None) -> None:
    async with proxy(resolve={b"only.the.proxy.knows": "127.0.0.1"}) as between:
        port, peer = await talk(between.address, "tcp://only.the.proxy.knows:{port}")
    assert between.asked == [(3, b"only.the.proxy.knows", port)]
    assert peer == f"tcp://only.the.proxy.knows:{port}"


async def test_other_alphabets_are_encoded(deadline: None) -> None:
    async with proxy(resolve={"bücher.example".encode("idna"): "127.0.0.1"}) as between:
        await talk(between.address, "tcp://bücher.example:{port}")
    assert between.asked[0][:2] == (3, b"xn--bcher-kva.example")


async def test_ipv6_addresses_go_as_they_are(deadline: None) -> None:
    async with proxy() as between:
        port, _ = await talk(between.address, "tcp://[::1]:{port}", "tcp://[::1]:*")
    assert between.asked == [(4, bytes(15) + b"\x01", port)]


async def test_the_proxy_may_have_a_name_and_the_way_to_it_a_source(deadline: None) -> None:
    async with proxy() as between:
        await talk(f"localhost:{between.address.rpartition(':')[2]}", "tcp://127.0.0.1:0;127.0.0.1:{port}")
    assert len(between.asked) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="every 127.x address is this machine's on Linux")
@pytest.mark.parametrize(
    ("proxys", "endpoints", "seen"),
    [("127.0.0.7:0;", "", "127.0.0.7"), ("127.0.0.7:0;", "127.0.0.8:0;", "127.0.0.8"), ("", "*:0;", "127.0.0.1")],
)
async def test_the_way_to_the_proxy_begins_at_the_endpoints_source_or_the_proxys(
    proxys: str, endpoints: str, seen: str, deadline: None
) -> None:
    sources: list[str] = []
    async with proxy(sources=sources) as between:
        await talk(f"{proxys}{between.address}", endpoints.join(["tcp://", "127.0.0.1:{port}"]))
    assert sources == [seen]


@pytest.mark.parametrize(
    "bound", [b"\x01\0\0\0\0\0\0", b"\x04" + bytes(18), b"\x03\x00\0\0", b"\x03\x05a.b.c\x12\x34"], ids=str
)
async def test_the_answer_may_have_any_kind_of_address(bound: bytes, deadline: None) -> None:
    async with proxy(bound=bound) as between:
        await talk(between.address)


@pytest.mark.parametrize("user", [None, (b"ann", b"secret")])
async def test_answers_may_come_byte_by_byte(user: tuple[bytes, bytes] | None, deadline: None) -> None:
    async with proxy(say=byte_by_byte, user=user) as between:
        await talk(between.address, socks_username="ann", socks_password="secret")


async def test_a_proxy_that_wants_a_name_and_password_gets_them(deadline: None) -> None:
    async with proxy(user=("ännchen".encode(), b"ge:heim")) as between:
        await talk(between.address, socks_username="ännchen", socks_password="ge:heim")


async def test_a_proxy_without_authentication_gets_no_credentials(deadline: None) -> None:
    async with proxy() as between:
        await talk(between.address, socks_username="ann", socks_password="secret")


async def why_not(between: Proxy, **options: Any) -> str:
    """Return why connecting through the proxy ``between`` fails. Assert that each attempt has the same reason."""
    pair = mq.Pair(socks_proxy=between.address, linger=0, **SOON, **options)
    async with pair, pair.monitor() as events:
        pair.connect("tcp://127.0.0.1:1")
        reasons = {(await next_event(events, mq.ConnectDelayed)).reason for _ in range(3)}
    [reason] = reasons
    return str(reason)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(1, "general failure"), (2, "its rules do not allow the connection"), (3, "network unreachable"),
     (4, "host unreachable"), (5, "connection refused"), (6, "time to live expired"),
     (7, "it does not support connecting"), (8, "it does not support this type of address"), (9, "unknown failure"),
     (255, "unknown failure")],
)  # fmt: skip
async def test_a_refusal_is_the_reason(reply: int, reason: str, deadline: None) -> None:
    async with proxy(reply=reply) as between:
        assert await why_not(between) == f"SOCKS proxy {between.address}: {reason} (answer {reply})"


async def test_nobody_behind_the_proxy_is_a_refusal(deadline: None) -> None:
    async with proxy() as between:
        pair = mq.Pair(socks_proxy=between.address, reconnect_stop={"refused"})
        async with pair, pair.monitor() as events:
            pair.connect("tcp://127.0.0.1:1")
            assert "connection refused" in (await next_event(events, mq.ConnectDelayed)).reason
            await next_event(events, mq.Closed)


async def test_a_name_that_it_wants_and_we_have_not_is_the_reason(deadline: None) -> None:
    async with proxy(user=(b"ann", b"secret")) as between:
        assert "set socks_username and socks_password" in await why_not(between)
        assert "rejects the user name 'bob'" in await why_not(between, socks_username="bob", socks_password="secret")
        reason = await why_not(between, socks_username="ann", socks_password="guessed")
        assert "rejects the user name 'ann' or the password" in reason
        assert "guessed" not in reason


@pytest.mark.parametrize("answer", [0, 1, 2])
async def test_a_proxy_that_leaves_half_way_is_the_reason(answer: int, deadline: None) -> None:
    async with proxy(user=(b"ann", b"secret"), leave_after=answer) as between:
        reason = await why_not(between, socks_username="ann", socks_password="secret")
    assert "closed the connection before its answer" in reason or "reset" in reason


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak SOCKS 5: its first byte is 72"),
        (b"\x04\x5a", "does not speak SOCKS 5: its first byte is 4"),
        (b"\x05\x01", "set socks_username"),
        (b"\x05\x00" + b"\x04\0\0\x01", "its answer is not of SOCKS 5: it begins with 4"),
        (b"\x05\x00" + b"\x05\0\0\x02", "an address of unknown type 2"),
    ],
    ids=str,
)
async def test_what_is_no_socks_is_the_reason(answers: bytes, reason: str, deadline: None) -> None:
    async def serve(raw: Any) -> None:
        await raw.hear(3)
        await raw.say(answers)
        await raw.hear_end()

    async with raw_server("tcp://127.0.0.1:*", serve) as endpoint:
        between = Proxy(endpoint.removeprefix("tcp://"))
        assert reason in await why_not(between)


async def test_a_proxy_that_is_not_there_is_named(deadline: None) -> None:
    async with proxy() as between:
        pass
    reason = await why_not(between)
    assert reason.startswith(f"SOCKS proxy {between.address}: ")
    assert "refused" in reason


async def test_a_proxy_that_never_answers_is_given_connect_timeout(deadline: None) -> None:
    async def say_nothing(raw: Any) -> None:
        await raw.hear_end()

    async with raw_server("tcp://127.0.0.1:*", say_nothing) as endpoint:
        between = Proxy(endpoint.removeprefix("tcp://"))
        assert await why_not(between, connect_timeout=0.05) == "no answer within 0.05 s"


async def test_the_connection_comes_back_through_the_proxy(deadline: None) -> None:
    async with (
        proxy() as between,
        mq.Push(socks_proxy=between.address, **SOON) as push,
        push.monitor() as events,
    ):
        async with mq.Pull() as pull:
            endpoint = pull.bind("tcp://127.0.0.1:*")
            push.connect(endpoint)
            await push.send(b"before")
            assert await pull.receive() == b"before"
        await next_event(events, mq.Disconnected)
        async with mq.Pull() as pull:
            pull.bind(endpoint)
            await push.send(b"after")
            assert await pull.receive() == b"after"
        assert {asked[2] for asked in between.asked} == {port_of(endpoint)}


async def test_listening_and_other_transports_know_no_proxy(endpoint: str, deadline: None) -> None:
    if endpoint.startswith("tcp"):
        pytest.skip("tcp has one")
    async with mq.Pull(socks_proxy="127.0.0.1:1") as pull, mq.Push(socks_proxy="127.0.0.1:1") as push:
        push.connect(pull.bind(endpoint))
        await push.send(b"hello")
        assert await pull.receive() == b"hello"


def test_a_name_too_long_for_the_protocol_is_refused() -> None:
    steps = dialogue(".".join(["a" * 60] * 5), 1, None, None)
    next(steps)
    with pytest.raises(OSError, match="at most 255 characters") as caught:
        steps.send(b"\x05\x00")
    assert caught.value.errno == errno.EINVAL


# -- others ------------------------------------------------------------------------------------------------


async def test_we_and_libzmq_meet_through_the_same_proxy(deadline: None) -> None:
    async with proxy() as between:
        options: Any = {"SOCKS_PROXY": between.address.encode()}
        async with mq.Pull() as pull, libzmq(zmq.PUSH, **options) as push:
            push.connect(pull.bind("tcp://127.0.0.1:*"))
            await push.send([b"from libzmq"])
            assert await pull.receive() == b"from libzmq"
        async with libzmq(zmq.PULL) as theirs, mq.Push(socks_proxy=between.address) as push:
            push.connect(theirs.bind("tcp://127.0.0.1:*"))
            await push.send(b"from us")
            assert await theirs.receive() == [[b"from us"]]
        assert [kind for kind, *_ in between.asked] == [1, 1]


async def test_we_ask_for_what_libzmq_asks_for(deadline: None) -> None:
    name = "localhost"
    async with proxy() as between, mq.Pull() as pull:
        port = port_of(pull.bind("tcp://127.0.0.1:*"))
        options: Any = {"SOCKS_PROXY": between.address.encode()}
        async with libzmq(zmq.PUSH, **options) as theirs, mq.Push(socks_proxy=between.address) as ours:
            theirs.connect(f"tcp://{name}:{port}")
            ours.connect(f"tcp://{name}:{port}")
            await pull.wait_connected(2)
        assert between.asked == [(3, name.encode(), port)] * 2


PPROXY = """
import asyncio, sys
import pproxy

async def main():
    running = await pproxy.Server(sys.argv[1]).start_server({"rserver": []})
    print(running.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def pproxy(url: str) -> AsyncIterator[str]:
    """Run pproxy, an independent SOCKS proxy, and yield its address."""
    command = [sys.executable, "-W", "ignore", "-c", PPROXY, url]
    run = partial(trio.run_process, command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    async with trio.open_nursery() as nursery:
        process = await nursery.start(run)
        port = await process.stdout.receive_some()
        yield f"127.0.0.1:{int(port)}"
        nursery.cancel_scope.cancel()


@pytest.mark.skipif(importlib.util.find_spec("pproxy") is None, reason="needs pip install pproxy")
@pytest.mark.parametrize(
    ("url", "options"),
    [("socks5://127.0.0.1:0", {}),
     ("socks5://127.0.0.1:0#ann:secret", {"socks_username": "ann", "socks_password": "secret"})],
)  # fmt: skip
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_other_peoples_proxies_understand_us(
    url: str, options: dict[str, Any], host: str, deadline: None
) -> None:
    async with pproxy(url) as address:
        await talk(address, f"tcp://{host}:{{port}}", **options)
