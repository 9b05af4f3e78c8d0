"""What people suffer from with ZeroMQ: does it still hurt here?

Each test is a complaint that comes again and again, with what we do about it. Where it is cheap, libzmq does the same
beside it, so that one sees what is better; its part is asserted, too, and would fail when libzmq is mended. One of the
well-known complaints is not here yet, that a client with the wrong key hears nothing: it needs CURVE.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import zmq

import mq

from .conftest import married, next_event


def start(script: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Run ``script`` as a process of its own."""
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@contextmanager
def libzmq(*kinds: int) -> Iterator[list[zmq.Socket[bytes]]]:
    """Open sockets of libzmq that wait for nothing when they close. Only for calls that do not block."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets = [context.socket(kind) for kind in kinds]
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close(linger=0)
        context.term()


# -- the exit that hangs -----------------------------------------------------------------------------------

OURS_TO_NOBODY = """
import sys, mq, trio
async def main():
    async with mq.Req(linger=0.2) as req:
        req.connect(sys.argv[1])
        await req.send(b"hello")
trio.run(main)
"""

THEIRS_TO_NOBODY = """
import sys, zmq
context = zmq.Context()
req = context.socket(zmq.REQ)
req.connect(sys.argv[1])
req.send(b"hello")
req.close()
print("about to end", flush=True)
context.term()
"""


def test_a_program_whose_peer_never_came_ends_and_says_what_was_lost() -> None:
    """libzmq's context waits for ever for the absent peer: the process has to be killed."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # it has the port and does not listen
        endpoint = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        theirs = start(THEIRS_TO_NOBODY, endpoint)
        assert theirs.stdout is not None
        assert theirs.stdout.readline() == "about to end\n"
        ours = start(OURS_TO_NOBODY, endpoint)
        _, said = ours.communicate(timeout=30)
        assert ours.returncode == 0
        assert f"dropped 1 unsent message for {endpoint}" in said
        assert "Connection refused" in said
        assert theirs.poll() is None  # it hangs
        theirs.kill()
        theirs.communicate()


# -- the abort ---------------------------------------------------------------------------------------------


async def test_closing_a_socket_ends_the_wait_of_another_task(endpoint: str, deadline: None) -> None:
    """libzmq aborts the whole process, with a failed assertion, when a ROUTER is closed while a thread receives."""
    heard = []

    async def receive(router: mq.Router) -> None:
        try:
            await router.receive_multipart()
        except trio.ClosedResourceError as error:
            heard.append(str(error))

    async with mq.Router() as router, trio.open_nursery() as nursery:
        router.bind(endpoint)
        nursery.start_soon(receive, router)
        await trio.testing.wait_all_tasks_blocked()
        await router.aclose()
    assert heard == ["this Router is closed: its block has ended, or aclose() was called"]


# -- the request after a timeout ---------------------------------------------------------------------------


async def test_a_request_that_timed_out_does_not_stand_in_the_way_of_the_next(endpoint: str, deadline: None) -> None:
    """libzmq's REQ must not send again before it has received: EFSM, and the way out is a new socket."""
    answers = trio.Event()

    async def answer_late(request: bytes) -> bytes:
        if request == b"first":
            await answers.wait()
        return b"reply to " + request

    async with married(mq.Rep(), mq.Req(), endpoint) as (rep, req), trio.open_nursery() as nursery:
        nursery.start_soon(rep.serve, answer_late)
        with trio.move_on_after(0.05) as patience:
            await req.request(b"first")
        assert patience.cancelled_caught
        answers.set()
        assert await req.request(b"second") == b"reply to second"
        assert req.statistics().dropped == {"replies that nobody waits for": 1}  # the first one's, too late
        nursery.cancel_scope.cancel()

    with libzmq(zmq.REP, zmq.REQ) as (their_rep, their_req):
        their_req.connect(f"tcp://127.0.0.1:{their_rep.bind_to_random_port('tcp://127.0.0.1')}")
        their_req.send(b"first")
        assert not their_req.poll(0)
        with pytest.raises(zmq.ZMQError) as raised:
            their_req.send(b"second", zmq.DONTWAIT)
        assert raised.value.errno == zmq.EFSM


# -- the first messages ------------------------------------------------------------------------------------


async def test_a_publisher_can_wait_for_its_subscriber_and_then_nothing_is_lost(
    wire_endpoint: str, deadline: None
) -> None:
    """libzmq's PUB cannot say when a subscription has come: of 1000 messages sent at once, as a rule none arrives."""
    async with mq.Pub() as pub, mq.Sub() as sub:
        sub.subscribe(b"")
        sub.connect(pub.bind(wire_endpoint))
        await pub.wait_subscribed()
        for number in range(1000):
            await pub.send(b"%d" % number)
        assert [int(await sub.receive()) for _ in range(1000)] == list(range(1000))


# -- the stolen ipc path -----------------------------------------------------------------------------------

OURS_LISTENS = """
import sys, mq, trio
async def main():
    async with mq.Pull() as pull:
        pull.bind(sys.argv[1])
        print("listening", flush=True)
        print((await pull.receive()).decode(), flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


async def test_an_ipc_path_is_taken_over_from_the_dead_and_not_from_the_living(tmp_path: Path, deadline: None) -> None:
    """libzmq takes the path over from a live process, in silence, and that one never hears from anybody again."""
    endpoint = f"ipc://{tmp_path}/path"
    owner = start(OURS_LISTENS, endpoint)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "listening\n"
    async with mq.Pull() as thief, mq.Push() as push:
        with pytest.raises(mq.BindError, match=endpoint):
            thief.bind(endpoint)
        push.connect(endpoint)
        await push.send(b"it is still mine")
        assert await trio.to_thread.run_sync(owner.stdout.readline) == "it is still mine\n"
        owner.send_signal(signal.SIGKILL)
        await trio.to_thread.run_sync(owner.communicate)
        assert (tmp_path / "path").exists()
        thief.bind(endpoint)
        await push.send(b"the next one's")
        assert await thief.receive() == b"the next one's"

    with libzmq(zmq.PULL, zmq.PULL) as (their_owner, their_thief):
        their_owner.bind(f"ipc://{tmp_path}/theirs")
        their_thief.bind(f"ipc://{tmp_path}/theirs")


# -- the peer that nobody knows ----------------------------------------------------------------------------


async def test_a_message_for_an_unknown_peer_is_counted_and_reported_or_refused(endpoint: str, deadline: None) -> None:
    """libzmq's ROUTER takes it, drops it, and says that all is well."""
    async with mq.Router() as router, router.monitor() as events:
        router.bind(endpoint)
        await router.send_multipart([b"nobody", b"hello"])
        assert (await next_event(events, mq.Dropped)).count == 1
        assert sum(router.statistics().dropped.values()) == 1

    async with mq.Router(router_mandatory=True) as router:
        with pytest.raises(mq.Unroutable, match="nobody"):
            await router.send_multipart([b"nobody", b"hello"])

    with libzmq(zmq.ROUTER) as (theirs,):
        theirs.bind("inproc://theirs")
        theirs.send_multipart([b"nobody", b"hello"])


# -- the fork ----------------------------------------------------------------------------------------------

OURS_FORKS = """
import os, sys, mq, trio
async def main():
    async with mq.Pull() as pull, mq.Push() as push:
        push.connect(pull.bind("tcp://127.0.0.1:*"))
        await push.wait_connected()
        child = os.fork()
        if not child:
            try:
                push.send_nowait(b"from the child")
            except mq.WrongThread as error:
                print(error, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        await push.send(b"from the parent")
        print(await pull.receive(), flush=True)
trio.run(main)
"""

THEIRS_FORKS = """
import os, zmq
context = zmq.Context()
pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
push.connect(f"tcp://127.0.0.1:{pull.bind_to_random_port('tcp://127.0.0.1')}")
child = os.fork()
if not child:
    push.send(b"from the child")
    print("sent", flush=True)
    os._exit(0)
os.waitpid(child, 0)
push.send(b"from the parent")
print(pull.recv(), flush=True)
os._exit(0)
"""


def test_a_socket_that_is_used_after_a_fork_says_so() -> None:
    """libzmq takes the child's message, and it is never seen again."""
    ours = start(OURS_FORKS)
    said, errors = ours.communicate(timeout=30)
    assert errors == ""
    complaint, received = said.splitlines()
    assert f"was opened in process {ours.pid} and used after a fork in process " in complaint
    assert received == "b'from the parent'"

    theirs = start(THEIRS_FORKS)
    said, _ = theirs.communicate(timeout=30)
    assert said.splitlines() == ["sent", "b'from the parent'"]
