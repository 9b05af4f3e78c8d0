"""A mistake raises where it was made, before anything is touched, and says what to write."""

import threading

import pytest
import trio

import actors
from tests.actors.zoo import Account


class Part(actors.Actor):
    def __init__(self, gadget=None):
        self.gadget = gadget
        self.messages = ["mine"]
        self.name = "my own name"

    async def take(self, gadget):
        return repr(gadget)

    async def give(self):
        return trio.Event()

    async def words(self):
        return self.name, self.messages

    def plain(self):
        return 1

    async def find(self):
        return "found"


def belongings():
    send, receive = trio.open_memory_channel(1)
    return [send, receive, trio.Event(), trio.Lock(), trio.CancelScope(), threading.Lock()]


@pytest.mark.parametrize("number", range(6))
async def test_what_belongs_to_one_run_is_refused_by_name_as_an_argument(place, number):
    gadget = belongings()[number]
    async with actors.open_supervisor() as root:
        part = await root.start(Part, place=place)
        with pytest.raises(TypeError, match=r"argument 1 of root/part.take cannot travel .*(belongs|pickle)"):
            await part.take(gadget)
        with pytest.raises(TypeError, match=r"argument gadget of root/part.take .*"):
            await part.take(gadget=[gadget])
        with pytest.raises(TypeError, match="argument gadget of Part"):
            await root.start(Part, gadget, place=place, name="other")
        assert root.count().specs == 1


async def test_what_belongs_to_one_run_is_refused_as_a_reply(place):
    async with actors.open_supervisor() as root:
        part = await root.start(Part, place=place)
        with pytest.raises(TypeError, match="Event cannot travel"):
            await part.give()


async def test_an_actor_may_use_the_names_of_the_base_class_for_itself(place):
    async with actors.open_supervisor() as root:
        part = await root.start(Part, place=place)
        assert await part.words() == ("my own name", ["mine"])
        assert await part.find() == "found"


async def test_a_method_that_is_not_async_says_so():
    async with actors.open_supervisor() as root:
        part = await root.start(Part)
        with pytest.raises(AttributeError, match="not async: write async def plain"):
            part.plain()
        assert {"take", "words"} <= set(dir(part))
        assert "plain" not in dir(part)


def test_a_message_that_references_could_not_pass_on_is_refused_when_the_class_is_made():
    with pytest.raises(TypeError, match="cannot have a message called monitor: references have"):
        type("Wrong", (actors.Actor,), {"monitor": Part.take})


async def test_a_class_that_is_no_actor_is_refused():
    async with actors.open_supervisor() as root:
        with pytest.raises(actors.SpecError, match="dict is not an actor: write class"):
            await root.start(dict)


class Selfish(actors.Actor):
    async def outer(self):
        return await self.ref.inner()

    async def streams(self):
        return [item async for item in self.ref.items()]

    async def inner(self):
        return 1

    @actors.concurrent
    async def beside(self):
        return await self.ref.inner()

    async def calls_beside(self):
        return await self.ref.beside()

    async def items(self):
        yield 1

    async def later(self):
        self.nursery.start_soon(self.outer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 0)
        return "said"

    async def within(self):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.outer)


@pytest.mark.parametrize("method", ["outer", "streams", "calls_beside"])
async def test_a_call_to_oneself_raises_and_explains(place, method):
    async with actors.open_supervisor() as root:
        selfish = await root.start(Selfish, place=place)
        with pytest.raises(actors.CallCycle, match="calls itself and would wait for ever"):
            await getattr(selfish, method)()
        assert await selfish.inner() == 1
        assert await selfish.beside() == 1


async def test_a_call_to_oneself_from_a_task_is_refused_only_if_the_message_waits_for_that_task(place):
    async with actors.open_supervisor() as root:
        selfish = await root.start(Selfish, place=place)
        assert await selfish.later() == "said"
        assert await selfish.inner() == 1
        with pytest.raises(ExceptionGroup) as caught:
            await selfish.within()
        assert caught.group_contains(actors.CallCycle)


class Link(actors.Actor):
    async def forward(self, others):
        if not others:
            return "end"
        return await others[0].forward(others[1:])

    @actors.concurrent
    async def beside(self):
        return "beside"

    async def ask(self, other):
        return await other.back(self.ref)

    async def back(self, other):
        return await other.beside()


async def test_a_circle_of_calls_is_found_and_named(place):
    async with actors.open_supervisor() as root:
        a, b, c = [await root.start(Link, name=name, place=place) for name in "abc"]
        assert await a.forward([b, c]) == "end"
        with pytest.raises(actors.CallCycle, match="root/a -> root/b -> root/c -> root/a stand in a circle"):
            await a.forward([b, c, a])
        assert await a.ask(b) == "beside"
        assert await a.forward([]) == "end"


class Refused(Exception):
    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")
        self.code = code


class Raiser(actors.Actor):
    async def plain(self):
        raise Refused(7, "on purpose")

    async def grouped(self):
        raise ExceptionGroup("two", [ValueError("one"), OSError(2, "three"), Refused(8, "on purpose")])

    async def awkward(self):
        raise Awkward


class Awkward(Exception):
    def __reduce__(self):
        raise SystemExit(5)


async def test_exceptions_with_required_arguments_keep_their_type_in_groups_too(place):
    async with actors.open_supervisor() as root:
        raiser = await root.start(Raiser, place=place)
        with pytest.raises(Refused) as one:
            await raiser.plain()
        assert (one.value.code, str(one.value)) == (7, "7: on purpose")
        with pytest.raises(ExceptionGroup) as group:
            await raiser.grouped()
        value, system, refused = group.value.exceptions
        assert (str(value), system.errno, refused.code) == ("one", 2, 8)


async def test_an_exception_whose_reduce_raises_is_told_by_name(place):
    async with actors.open_supervisor() as root:
        raiser = await root.start(Raiser, place=place)
        ann = await root.start(Account, "ann")
        with pytest.raises(actors.RemoteError, match="Awkward"):
            await raiser.awkward()
        assert await ann.deposit(1) == 1


async def test_a_class_that_cannot_be_imported_works_in_this_process_and_is_refused_for_another(place):
    class Local(actors.Actor):
        def __init__(self, make):
            self.make = make

        async def give(self):
            return self.make()

    async with actors.open_supervisor() as root:
        if place == "process":
            with pytest.raises(actors.SpecError, match="Local cannot run in a process of its own, which has to import"):
                await root.start(Local, lambda: 5, place=place)
            return
        assert await (await root.start(Local, lambda: 5, place=place)).give() == 5
        team = actors.Supervisor(actors.Child(Local, lambda: 6, place=place, name="local"), name="team", place=place)
        await root.start(team)
        assert await (await root.get("team/local")).give() == 6


async def test_casts_and_monitors_are_functions_too(place):
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place=place)
        await actors.tell(ann.deposit, 5)
        assert await ann.deposit(0) == 5
        async with actors.monitor(ann) as deaths:
            await actors.tell(ann.crash, RuntimeError("on purpose"))
            assert isinstance((await deaths.receive()).reason, actors.Crashed)
        with pytest.raises(TypeError, match=r"such as ann\.deposit, got function"):
            await actors.tell(belongings)
        with pytest.raises(TypeError, match="expected a reference to an actor, got method"):
            actors.monitor(root.stop)
