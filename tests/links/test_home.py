"""Where may a socket be used? In its own thread and process; elsewhere the error says what to do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import trio

import mq

from ..conftest import married, until

CALLS: dict[str, Callable[[mq.Pair], Any]] = {
    "bind": lambda pair: pair.bind("inproc://elsewhere"),
    "connect": lambda pair: pair.connect("inproc://elsewhere"),
    "unbind": lambda pair: pair.unbind("inproc://elsewhere"),
    "disconnect": lambda pair: pair.disconnect("inproc://elsewhere"),
    "send_nowait": lambda pair: pair.send_nowait(b"m"),
    "send_multipart_nowait": lambda pair: pair.send_multipart_nowait([b"m"]),
    "receive_nowait": lambda pair: pair.receive_nowait(),
    "receive_multipart_nowait": lambda pair: pair.receive_multipart_nowait(),
    "send": lambda pair: trio.run(pair.send, b"m"),
    "send_multipart": lambda pair: trio.run(pair.send_multipart, [b"m"]),
    "receive": lambda pair: trio.run(pair.receive),
    "receive_multipart": lambda pair: trio.run(pair.receive_multipart),
    "wait_connected": lambda pair: trio.run(pair.wait_connected),
    "aclose": lambda pair: trio.run(pair.aclose),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_another_thread_is_told_to_open_its_own_socket(
    endpoint: str, call: Callable[[mq.Pair], Any], deadline: None
) -> None:
    async with married(mq.Pair(), mq.Pair(), endpoint) as (one, other):
        with pytest.raises(mq.WrongThread, match=r"Pair belongs to the Trio run of another thread.*inproc://"):
            await trio.to_thread.run_sync(call, one)
        await one.send(b"unharmed")
        await other.send(b"as well")
        assert await other.receive() == b"unharmed"
        assert await one.receive() == b"as well"


async def test_another_thread_in_the_midst_of_a_run_is_told_soon_and_the_socket_lives_on(
    wire_endpoint: str, deadline: None
) -> None:
    def steal(pull: mq.Pull) -> int:
        async def receive() -> None:
            nonlocal stolen
            for _ in range(1000):
                await pull.receive()
                stolen += 1

        stolen = 0
        with pytest.raises(mq.WrongThread, match=r"Pull belongs to the Trio run of another thread.*inproc://"):
            trio.run(receive)
        return stolen

    async with married(mq.Pull(), mq.Push(), wire_endpoint) as (pull, push):
        for number in range(900):
            await push.send(b"%d" % number)
        await until(lambda: pull.statistics().queued_in == 900)
        assert await pull.receive() == b"0"
        stolen = await trio.to_thread.run_sync(steal, pull)
        assert stolen < 256
        for number in range(stolen + 1, 900):
            assert await pull.receive() == b"%d" % number


async def test_another_thread_that_sends_in_the_midst_of_a_run_is_told_soon(wire_endpoint: str, deadline: None) -> None:
    async def send(socket: Any) -> None:
        for _ in range(1000):
            await socket.send(b"from elsewhere")

    for binder, connecter in ((mq.Push(), mq.Pull()), (mq.Pub(), mq.Sub())):
        async with married(binder, connecter, wire_endpoint) as (sender, receiver):
            if isinstance(receiver, mq.Sub):
                receiver.subscribe(b"")
                await sender.wait_subscribed()
            for _ in range(3):
                await sender.send(b"from here")
            with pytest.raises(mq.WrongThread):
                await trio.to_thread.run_sync(trio.run, send, sender)
            await sender.send(b"the last")
            got = [await receiver.receive()]
            while got[-1] != b"the last":
                got.append(await receiver.receive())
            assert got.count(b"from here") == 3
            assert len(got) < 4 + 256


FORK = """
    import os, sys, trio, mq

    async def complain(pair, call):
        try:
            result = call(pair)
            if hasattr(result, "__await__"):
                await result
        except mq.WrongThread as error:
            return str(error)
        return "no complaint"

    async def main():
        async with mq.Pair() as one, mq.Pair() as other:
            other.connect(one.bind({endpoint!r}))
            await one.wait_connected()
            for _ in range(10):
                await other.send(b"for the parent")
            while len(one._readable) < 1 or one.statistics().queued_in < 10:
                await trio.sleep(0.001)
            await one.receive()  # and the rest without a look around
            child = os.fork()
            if not child:
                for call in (
                    lambda pair: pair.send(b"m"),
                    lambda pair: pair.receive(),
                    lambda pair: pair.send_nowait(b"m"),
                    lambda pair: pair.receive_nowait(),
                    lambda pair: pair.bind("tcp://127.0.0.1:*"),
                    lambda pair: pair.connect("tcp://127.0.0.1:1"),
                    lambda pair: pair.wait_connected(),
                    lambda pair: pair.aclose(),
                ):
                    print(await complain(one, call))
                sys.stdout.flush()
                os._exit(0)
            os.waitpid(child, 0)
            for _ in range(9):
                assert await one.receive() == b"for the parent"
            await one.send(b"and back")
            assert await other.receive() == b"and back"
            print("the parent goes on")

    trio.run(main)
"""


def test_a_forked_child_is_told_of_the_fork_and_harms_its_parent_in_nothing(endpoint: str) -> None:
    script = textwrap.dedent(FORK).format(endpoint=endpoint)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    *complaints, last = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert last == "the parent goes on"
    assert len(complaints) == 8
    for complaint in complaints:
        assert "after a fork in process" in complaint
        assert "open a new one here" in complaint


GIVE_BACK = """
    import os, socket, trio, mq
    from mq import endpoint as endpoints

    def sockets_now():
        found = set()
        for each in os.listdir("/proc/self/fd"):
            try:
                link = os.readlink("/proc/self/fd/" + each)
            except OSError:
                continue
            if link.startswith("socket:"):
                found.add(link)
        return found

    def is_listening(endpoint):
        where = endpoints.parse(endpoint)
        if isinstance(where, endpoints.Tcp):
            sock, address = socket.socket(), (where.host, where.port)
        else:
            sock, address = socket.socket(socket.AF_UNIX), where.path
        with sock:
            return sock.connect_ex(address) == 0

    async def main():
        # Nobody accepts at this address, so that an attempt to connect to it stays under way.
        full = socket.create_server(("127.0.0.1", 0), backlog=0)
        filler = [socket.socket() for _ in range(4)]
        for each in filler:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        before = sockets_now()
        async with mq.Pair() as one:
            endpoint = one.bind({endpoint!r})
            async with mq.Pair() as other, mq.Push() as attempt:
                attempt.connect("tcp://127.0.0.1:%d" % full.getsockname()[1])
                other.connect(endpoint)
                await one.wait_connected()
                await other.wait_connected()
                known = sockets_now() - before
                assert len(known) >= 3, known
                ask, answer = os.pipe()
                wait, end = os.pipe()
                child = os.fork()
                if not child:
                    os.close(end)
                    os.write(answer, b"%03d" % len(sockets_now() & known))
                    os.read(wait, 1)
                    os._exit(0)
                os.close(wait)
                print("the child has", int(os.read(ask, 3)), "of them")
                await one.send(b"the connection lives")
                assert await other.receive() == b"the connection lives"
                assert is_listening(endpoint)
            with trio.fail_after(10):
                while one.statistics().peers:
                    await trio.sleep(0.001)
            print("the connection has ended")
        assert not is_listening(endpoint)
        print("nobody listens")
        os.write(end, b"x")
        assert os.waitpid(child, 0)[1] == 0

    trio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at its descriptors in /proc")
def test_a_forked_child_gives_back_the_sockets_of_its_parent(wire_endpoint: str) -> None:
    script = textwrap.dedent(GIVE_BACK).format(endpoint=wire_endpoint)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["the child has 0 of them", "the connection has ended", "nobody listens"]


def test_the_names_of_inproc_are_free_in_a_forked_child_and_nothing_of_it_reaches_the_parent() -> None:
    script = textwrap.dedent("""
        import os, threading, trio, mq

        async def parent():
            async with mq.Pair() as bound, mq.Pair() as waiting:
                bound.bind("inproc://taken")
                waiting.connect("inproc://awaited")
                child = os.fork()
                if not child:
                    # The fork has come in the midst of a run, which goes on here too: another thread has none.
                    thread = threading.Thread(target=trio.run, args=[talk])
                    thread.start()
                    thread.join()
                    os._exit(0 if talked else 1)
                assert os.waitpid(child, 0)[1] == 0
                assert not bound.statistics().peers
                await trio.sleep(0)
                with trio.move_on_after(0):
                    await waiting.receive()
                assert not waiting.statistics().peers[0].connected

        talked = []

        async def talk():
            for name in ("inproc://taken", "inproc://awaited"):
                with trio.fail_after(10):
                    async with mq.Pair() as one, mq.Pair() as other:
                        one.connect(name)
                        other.bind(name)
                        await one.send(b"within the child")
                        assert await other.receive() == b"within the child"
            talked.append(True)

        trio.run(parent)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


async def test_a_forked_child_may_open_its_own_socket_and_talk_to_its_parent(
    wire_endpoint: str, deadline: None
) -> None:
    script = textwrap.dedent("""
        import os, trio, mq

        async def parent():
            async with mq.Pull() as pull:
                endpoint = pull.bind({endpoint!r})
                child = os.fork()
                if not child:
                    os._exit(grandchild(endpoint))
                assert await pull.receive() == b"hello from the child"
                assert os.waitpid(child, 0)[1] == 0

        def grandchild(endpoint):
            import threading
            # The fork has come in the midst of a run, which goes on here too: another thread has none.
            thread = threading.Thread(target=trio.run, args=[speak, endpoint])
            thread.start()
            thread.join()
            return 0

        async def speak(endpoint):
            async with mq.Push() as push:
                push.connect(endpoint)
                await push.send(b"hello from the child")

        trio.run(parent)
    """).format(endpoint=wire_endpoint)
    done = await trio.run_process([sys.executable, "-c", script], capture_stderr=True, check=False)
    assert done.returncode == 0, done.stderr
