"""Calls, casts and streams, in every place."""

import pickle

import pytest
import trio

import actors
from tests.actors.zoo import Account, Diary, Gate, Unpicklable


async def test_a_call_returns_what_the_method_returned(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", balance=2, place=place)
        assert await ann.deposit(5) == 7


async def test_a_cast_is_handled_before_a_later_call_of_the_same_sender(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place)
        for _ in range(10):
            await ann.deposit.tell(1)
        assert await ann.deposit(0) == 10


async def test_an_exception_in_a_call_goes_to_the_caller_and_the_actor_lives_on(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", balance=1, place=place)
        with pytest.raises(ZeroDivisionError, match="by hand") as caught:
            await ann.crash(ZeroDivisionError("by hand"))
        assert "raise error" in str(caught.value.__cause__)
        assert await ann.deposit(0) == 1


async def test_an_exception_that_cannot_travel_is_told_by_name(place):
    async with actors.open_supervisor() as root:
        awkward = await root.start(Awkward, place=place)
        with pytest.raises(actors.RemoteError, match="Unpicklable: two arguments, one told"):
            await awkward.fail()


class Awkward(actors.Actor):
    async def fail(self):
        raise Unpicklable(1, 2)


async def test_an_unknown_message_is_refused_before_it_is_sent(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place)
        with pytest.raises(AttributeError, match=r"no message 'withdraw'; it has .*deposit"):
            ann.withdraw(5)


async def test_arguments_are_never_shared(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place)
        mine = [1, 2]
        theirs = await ann.echo(mine)
        assert theirs == mine
        assert theirs is not mine


async def test_a_stream_brings_every_item_in_order(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", balance=500, place=place)
        assert [amount async for amount in ann.history()] == list(range(500))


async def test_leaving_a_stream_early_ends_its_generator(place):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary, place="task")
        gate = await root.start(Gate, diary, place=place)
        async with gate.count_for_ever() as numbers:
            async for number in numbers:
                if number == 3:
                    break
        (word,) = await diary_after(diary, "generator ended")
        assert int(word.split()[-1]) < 3 + 64  # credit kept it from running far ahead


async def diary_after(diary, beginning):
    while not (found := [word for word in await diary.all() if word.startswith(beginning)]):
        await trio.lowlevel.checkpoint()
    return found


async def test_a_stream_that_is_dropped_ends_its_generator(place):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary, place="task")
        gate = await root.start(Gate, diary, place=place)
        async for number in gate.count_for_ever():
            if number == 3:
                break
        assert await diary_after(diary, "generator ended")


class Tap(actors.Actor):
    """Counts the calls and streams that run."""

    def __init__(self):
        self.open = 0

    async def drops(self):
        self.open += 1
        try:
            while True:
                yield 1
        finally:
            self.open -= 1

    @actors.concurrent
    async def drip(self):
        self.open += 1
        try:
            await trio.sleep_forever()
        finally:
            self.open -= 1

    async def running(self):
        return self.open


async def test_a_cancellation_at_any_moment_reaches_what_it_cancels(place):
    async def use(tap, method):
        if method == "drip":
            await tap.drip()
        async for _ in tap.drops():
            await trio.lowlevel.checkpoint()

    async def cancel_after(scope, ticks):
        for _ in range(ticks):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with actors.open_supervisor() as root:
        tap = await root.start(Tap, place=place)
        for ticks in range(40):
            for method in ("drip", "drops"):
                async with trio.open_nursery() as nursery:
                    with trio.CancelScope() as scope:
                        nursery.start_soon(cancel_after, scope, ticks)
                        await use(tap, method)
        with trio.fail_after(20):
            while await tap.running():
                await trio.lowlevel.checkpoint()


async def test_a_stream_does_not_keep_other_messages_waiting(place):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary, place="task")
        gate = await root.start(Gate, diary, place=place)
        async with gate.count_for_ever() as numbers:
            assert await anext(numbers) == 0
            assert await gate.ping() == "pong"


async def test_cancelling_a_call_cancels_its_handler(place):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary, place="task")
        gate = await root.start(Gate, diary, place=place)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gate.hang)
            await diary.wait("hanging")
            nursery.cancel_scope.cancel()
        await diary.wait("cancelled")
        assert await gate.ping() == "pong"


async def test_references_travel_in_messages_across_places(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place="task")
        for other in ("task", "thread", "process"):
            teller = await root.start(Teller, ann, place=place, name=f"{other}-teller")
            bob = await root.start(Account, "bob", place=other, name=f"bob-{other}")
            assert await teller.transfer(bob, 5) == (-5, 5)
            assert await ann.deposit(5) == 0


class Teller(actors.Actor):
    def __init__(self, source):
        self.source = source

    async def transfer(self, target, amount):
        return await self.source.deposit(-amount), await target.deposit(amount)


async def test_a_concurrent_method_may_be_called_back(place):
    async with actors.open_supervisor() as root:
        diary = await root.start(Diary, place="task")
        gate = await root.start(Gate, diary, place=place)
        assert await gate.ask_back(gate) == "pong"


class Array:
    """Travels as arrays do: its buffer apart from the pickle."""

    def __init__(self, buffer):
        self.view = memoryview(buffer)

    def __reduce_ex__(self, protocol):
        return Array, (pickle.PickleBuffer(self.view),)


class Doubler(actors.Actor):
    async def double(self, array):
        for at, value in enumerate(array.view):
            array.view[at] = 2 * value
        return array


async def test_an_array_arrives_writable_and_as_a_copy(place):
    async with actors.open_supervisor() as root:
        doubler = await root.start(Doubler, place=place)
        mine = Array(bytearray(range(100)))
        theirs = await doubler.double(mine)
        assert bytes(mine.view) == bytes(range(100))
        assert bytes(theirs.view) == bytes(range(0, 200, 2))
        theirs.view[0] = 1
