"""Deaths, restarts and stops, in every place."""

import logging
import os
import signal

import pytest
import trio

import actors
from actors import Child, Supervisor
from tests.actors.zoo import Account, Diary, Gate


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "actors")


async def crash(ref):
    """End one incarnation and wait until its death is known."""
    async with ref.monitor() as downs:
        await ref.crash.tell(RuntimeError("on purpose"))
        return await downs.receive()


async def test_a_crash_in_a_cast_restarts_the_actor_and_the_reference_still_works(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place)
        await ann.deposit(5)
        down = await crash(ann)
        assert isinstance(down.reason, actors.Crashed)
        assert isinstance(down.reason.exception, RuntimeError)
        assert not down.final
        assert await ann.deposit(1) == 1


async def to_the_end(stream):
    async for _ in stream:
        await trio.lowlevel.checkpoint()


async def test_callers_of_an_actor_that_dies_hear_of_it(place):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary)
        gate = await root.start(Gate, diary, place=place)

        async def stream():
            with pytest.raises(actors.ActorDied):
                await to_the_end(gate.count_for_ever())

        async def call():
            with pytest.raises(actors.ActorDied, match="crashed: RuntimeError"):
                await gate.hang()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream)
            nursery.start_soon(call)
            await diary.wait("hanging")
            await root.start(Killer, gate, place="task")
        assert await gate.ping() == "pong"


class Killer(actors.Actor):
    """Crashes a gate from inside, past the message it is busy with."""

    def __init__(self, gate):
        self.gate = gate

    async def started(self):
        await self.gate.crash_beside.tell()


async def test_a_killed_process_fails_its_callers_and_is_restarted():
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary)
        gate = await root.start(Gate, diary, place="process")
        pid = await gate.pid()

        async def call():
            with pytest.raises(actors.ActorDied) as caught:
                await gate.hang()
            assert caught.value.reason == actors.Signal(signal.SIGKILL)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await diary.wait("hanging")
            os.kill(pid, signal.SIGKILL)
        assert await gate.pid() != pid


async def crash_three_times(place):
    async with actors.open_supervisor(intensity=2) as root:
        ann = await root.start(Account, "ann", place=place)
        for _ in range(3):
            await crash(ann)
        await trio.sleep_forever()


async def test_more_restarts_than_the_intensity_end_the_supervisor(place):
    with pytest.raises(actors.RestartsExhausted) as caught:
        await crash_three_times(place)
    assert [name for name, _ in caught.value.causes] == ["root/account"] * 3


async def test_a_transient_child_stays_down_after_a_clean_end(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place, restart="transient")
        async with ann.monitor() as downs:
            await ann.end()
            down = await downs.receive()
        assert down.reason == actors.Normal()
        assert down.final
        with pytest.raises(actors.ActorDied, match="ended by itself"):
            await ann.deposit(1)
        assert [child.state for child in root.children()] == ["down"]
        await root.restart("account")
        assert await ann.deposit(1) == 1


async def test_a_permanent_child_starts_again_after_a_clean_end(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place)
        async with ann.monitor() as downs:
            await ann.end()
            assert (await downs.receive()).reason == actors.Normal()
        assert await ann.deposit(1) == 1


async def test_a_temporary_child_is_forgotten(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place, restart="temporary")
        assert (await crash(ann)).final
        assert root.count().specs == 0
        with pytest.raises(actors.ActorDied):
            await ann.deposit(1)


async def test_a_child_that_cannot_start_fails_the_start(place):
    async with actors.open_supervisor() as root:
        with pytest.raises(actors.StartFailed, match=r"root/broken did not start: crashed: KeyError") as caught:
            await root.start(Broken, place=place)
        assert isinstance(caught.value.__cause__, KeyError)
        assert root.count().specs == 0


class Broken(actors.Actor):
    def __init__(self):
        raise KeyError("no such door")


class Slow(actors.Actor):
    async def started(self):
        await trio.sleep_forever()


async def test_a_child_that_is_not_ready_in_time_fails_the_start(place):
    async with actors.open_supervisor() as root:
        with pytest.raises(actors.StartFailed, match="not ready within"):
            await root.start(Slow, place=place, start_timeout=0.05)
        assert root.count().specs == 0


async def test_children_start_left_to_right_and_stop_right_to_left(place):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary)
        gates = [Child(Gate, diary, name, name=name, place=place) for name in "abc"]
        team = await root.start(Supervisor(*gates, name="team"))
        await root.stop("team")
        with pytest.raises(actors.ActorDied):
            await team.children()
        started = [f"{name} started" for name in "abc"]
        assert await diary.all() == started + [f"{name} stopping" for name in "cba"]


async def test_the_first_failing_start_stops_those_already_started(place):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary)
        gates = [Child(Gate, diary, name, name=name, place=place) for name in "ab"]
        with pytest.raises(actors.StartFailed):
            await root.start(Supervisor(*gates, Child(Broken, place=place), Child(Account, "never"), name="team"))
        assert (await diary.all())[2:] == ["b stopping", "a stopping"]


async def test_a_child_that_does_not_stop_in_time_is_killed(place):
    async with actors.open_supervisor() as root:
        await root.start(Stubborn, place=place, name="mule", shutdown=0.05)
        await root.stop("mule")
        (info,) = root.children()
        assert info.state == "down"
        assert info.reason == actors.Killed()


class Stubborn(actors.Actor):
    async def stopping(self):
        await trio.sleep_forever()


async def test_a_stopped_child_can_be_restarted_and_deleted(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place, name="ann")
        with pytest.raises(actors.ChildExists):
            await root.start(Account, "other", name="ann")
        with pytest.raises(actors.ChildRunning):
            root.delete("ann")
        await root.stop("ann")
        with pytest.raises(actors.ActorDied, match="stopped by its supervisor"):
            await ann.deposit(1)
        assert await root.restart("ann") == ann
        assert await ann.deposit(1) == 1
        await root.stop("ann")
        root.delete("ann")
        with pytest.raises(actors.NoSuchChild):
            await root.restart("ann")


async def test_a_stop_wins_over_a_pending_restart(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place, name="ann", backoff=3600)
        await crash(ann)
        assert [child.state for child in root.children()] == ["waiting"]
        await root.stop("ann")
        assert [child.state for child in root.children()] == ["down"]
        with pytest.raises(actors.ActorDied):
            await ann.deposit(1)


async def test_a_call_made_while_the_actor_is_down_waits_for_its_restart(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place, backoff=0.05)
        await crash(ann)
        assert await ann.deposit(3) == 3


@pytest.mark.parametrize(
    ("strategy", "again"), [("one_for_one", "b"), ("rest_for_one", "bc"), ("one_for_all", "abc")]
)
async def test_a_strategy_says_who_else_starts_again(place, strategy, again):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary)
        gates = [Child(Gate, diary, name, name=name, place=place) for name in "abc"]
        await root.start(Supervisor(*gates, name="team", strategy=strategy))
        b = await root.get("team/b")
        await b.crash.tell()
        words = await diary.wait(f"{again[-1]} started", 2)
        assert [word for word in words if "started" in word][3:] == [f"{name} started" for name in again]


async def test_a_supervisor_that_gives_up_is_restarted_by_its_own(place):
    async with actors.open_supervisor() as root:
        team = await root.start(Supervisor(Child(Account, "ann", name="ann"), intensity=0, name="team", place=place))
        ann = await root.get("team/ann")
        async with team.monitor() as downs:
            await ann.crash.tell(RuntimeError("on purpose"))
            down = await downs.receive()
        assert isinstance(down.reason.exception, actors.RestartsExhausted)
        assert await ann.deposit(2) == 2


async def test_siblings_find_each_other(place):
    async with actors.open_supervisor(
        Child(Account, "ann", name="ann", place=place), Child(Finder, name="finder", place=place)
    ) as root:
        finder = await root.get("finder")
        assert await finder.deposit_to("ann", 5) == 5


class Finder(actors.Actor):
    async def deposit_to(self, name, amount):
        ann = await self.find(name)
        return await ann.deposit(amount)


async def test_an_exception_in_the_block_comes_out_as_itself(place):
    async def block():
        async with actors.open_supervisor() as root:
            await root.start(Account, "ann", place=place)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await block()


@pytest.mark.parametrize("place", ["task", "thread"])
def test_ctrl_c_that_meets_an_actor_ends_the_block(place):
    async def main():
        async with actors.open_supervisor() as root:
            ann = await root.start(Account, "ann", place=place)
            await ann.crash(KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)


async def test_cancelling_the_block_still_lets_the_children_stop(place):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary)
        with trio.CancelScope() as scope:
            async with actors.open_supervisor() as inner:
                await inner.start(Gate, diary, place=place)
                scope.cancel()
                await trio.sleep_forever()
        assert await diary.all() == ["gate started", "gate stopping"]


@pytest.mark.parametrize(("auto_shutdown", "enough"), [("any_significant", 1), ("all_significant", 2)])
async def test_significant_children_end_their_supervisor(place, auto_shutdown, enough):
    async with actors.open_supervisor() as root:
        pair = [
            Child(Account, name, name=name, place=place, restart="transient", significant=True) for name in "ab"
        ]
        team = await root.start(
            Supervisor(*pair, Child(Account, "c"), auto_shutdown=auto_shutdown, restart="transient", name="team")
        )
        members = [await root.get(f"team/{name}") for name in "ab"]
        async with team.monitor() as downs:
            for account in members[:enough]:
                assert (await team.count()).active == 3 if account is members[0] else 2
                async with account.monitor() as own:
                    await account.end()
                    await own.receive()
            assert (await downs.receive()).reason == actors.Shutdown()


async def test_a_supervisor_is_managed_through_its_reference(place):
    async with actors.open_supervisor() as root:
        team = await root.start(Supervisor(name="team", place=place))
        ann = await team.start(Account, "ann", name="ann", place="process")
        assert await ann.deposit(5) == 5
        assert [(child.name, child.state) for child in await team.children()] == [("ann", "up")]
        await team.halt("ann")
        assert (await team.count()).active == 0
        assert await team.restart("ann") == ann
        assert await ann.deposit(1) == 1
        with pytest.raises(actors.ChildRunning):
            await team.delete("ann")


async def test_a_block_that_is_cancelled_from_the_start_ends(place):
    with trio.CancelScope() as scope:
        scope.cancel()
        async with actors.open_supervisor(Child(Account, "ann", place=place)) as root:
            await root.start(Account, "bob", place=place)
    assert scope.cancelled_caught


async def test_a_start_that_is_cancelled_leaves_nothing_behind(place):
    async with actors.open_supervisor() as root:
        with trio.CancelScope() as scope:
            scope.cancel()
            await root.start(Account, "ann", place=place, name="ann")
        assert root.count().specs == 0
        ann = await root.start(Account, "ann", place=place, name="ann")
        assert await ann.deposit(1) == 1
