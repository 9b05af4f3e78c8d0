"""What a user's mistake, or several events at once, must not break."""

import os
import resource
import signal
import sys

import pytest
import trio

import actors
from actors import Child, Supervisor
from tests.actors.zoo import Account


class Part(actors.Actor):
    async def hello(self):
        return os.getpid()

    async def boom(self):
        raise RuntimeError("on purpose")

    async def leave(self, error):
        raise error

    async def exit(self, code):
        os._exit(code)

    async def nothing(self):
        pass


@pytest.mark.parametrize("middle", ["task", "thread", "process"])
async def test_a_call_made_while_a_nested_tree_restarts_ends_and_the_new_tree_answers(middle):
    inner = Supervisor(Child(Part, name="leaf"), name="d", place=middle)
    async with actors.open_supervisor(
        Supervisor(inner, Child(Part, name="probe"), name="c", place="process"), intensity=9
    ) as root:
        leaf, probe = await root.get("c/d/leaf"), await root.get("c/probe")
        for _ in range(2):
            old = await leaf.hello()
            async with probe.monitor() as deaths:
                os.kill(await probe.hello(), signal.SIGKILL)
                await deaths.receive()
            assert await leaf.hello() != old


async def test_a_stream_begun_while_its_actor_restarts_brings_every_item(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", balance=50, place=place, backoff=0.05)
        async with ann.monitor() as deaths:
            await ann.crash.tell(RuntimeError("on purpose"))
            await deaths.receive()
        assert [amount async for amount in ann.history()] == list(range(50))


async def test_a_monitor_whose_reader_closed_it_costs_nobody_else_anything(place):
    async with actors.open_supervisor(intensity=9) as root:
        part, sibling = await root.start(Part, place=place, name="part"), await root.start(Part, name="sibling")
        async with part.monitor() as closed, part.monitor() as deaths:
            await closed.aclose()
            for _ in range(2):
                await part.boom.tell()
                await deaths.receive()
                assert await sibling.hello()


async def test_a_reference_used_in_another_run_speaks_through_that_run_or_says_why_not(place):
    async def other_run_with_a_node(part):
        async with actors.open_supervisor():
            return await part.hello()

    async with actors.open_supervisor() as root:
        part = await root.start(Part, place=place)
        with pytest.raises(RuntimeError, match="came from another Trio run"):
            await trio.to_thread.run_sync(trio.run, part.hello)
        assert await trio.to_thread.run_sync(trio.run, other_run_with_a_node, part) == await part.hello()


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), BaseException("mine")])
async def test_a_base_exception_crashes_the_actor_and_nothing_else(place, error):
    async with actors.open_supervisor() as root:
        part = await root.start(Part, place=place)
        with pytest.raises(actors.ActorDied) as caught:
            await part.leave(error)
        assert isinstance(caught.value.reason, actors.Crashed)
        assert await part.hello()


async def test_an_exit_without_a_word_is_told_at_once():
    async with actors.open_supervisor() as root:
        part = await root.start(Part, place="process")
        with trio.fail_after(1.5), pytest.raises(actors.ActorDied) as caught:  # far below the wait for last words
            await part.exit(0)
        assert caught.value.reason == actors.Exited(0)


async def test_a_cancelled_call_does_not_run_later_however_many_were_cancelled(place):
    async with actors.open_supervisor() as root:
        slow = await root.start(Slow, place=place)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow.wait)
            await slow.waits()
            async with trio.open_nursery() as cancelled:
                for _ in range(900):
                    cancelled.start_soon(slow.count)
                await slow.waits()  # by now they have all been sent
                cancelled.cancel_scope.cancel()
            await slow.go_on.tell()
        assert await slow.counted() == 0


class Slow(actors.Actor):
    def __init__(self):
        self.number = 0
        self.begun, self.goes_on = trio.Event(), trio.Event()

    async def wait(self):
        self.begun.set()
        await self.goes_on.wait()

    @actors.concurrent
    async def waits(self):
        await self.begun.wait()

    @actors.concurrent
    async def go_on(self):
        self.goes_on.set()

    async def count(self):
        self.number += 1

    async def counted(self):
        return self.number


async def test_a_full_mailbox_parks_its_senders_and_nobody_else(place):
    async with actors.open_supervisor() as root:
        slow, other = await root.start(Slow, place=place, mailbox=4), await root.start(Slow, place=place)
        sent = []

        async def send():
            for number in range(10):
                await slow.count.tell()
                sent.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow.wait)
            await slow.waits()
            nursery.start_soon(send)
            while len(sent) < 3:
                await other.counted()
            for _ in range(10):
                await other.counted()
            assert 3 <= len(sent) <= 5
            nursery.cancel_scope.cancel()


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
async def test_an_actor_in_a_task_costs_no_descriptor():
    async with actors.open_supervisor() as root:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(100):
            await root.start(Part)
        assert len(os.listdir("/proc/self/fd")) == before
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > before


async def test_nothing_is_remembered_of_clients_that_came_and_went():
    async with actors.open_supervisor() as root:
        part = await root.start(Part, name="part")
        board = part._here().board
        for number in range(3):
            client = await root.start(Client, part, place="thread", name=f"client{number}")
            await client.use()
            await root.stop(f"client{number}")
            root.delete(f"client{number}")
        assert {entry.uid: dict(entry.watchers) for entry in board if entry.watchers} == {}
        assert len(list(board)) == 2


class Client(actors.Actor):
    def __init__(self, part):
        self.part = part

    async def use(self):
        return await self.part.hello()
