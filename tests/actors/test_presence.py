"""The board of a tree, with announcements and questions that arrive in any order the sockets allow."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.protocols.entries import EPOCH
from actors.protocols.presence import Board
from actors.values.messages import Born, Buried, Down, Find, Listed, Starting, Up, Watch
from actors.values.reasons import Lost
from actors.values.uids import uid_below

WATCHERS = ("w1", "w2")


class Child:
    """A child as it really is."""

    def __init__(self, supervisor, name, nested, alone):
        self.supervisor, self.name, self.nested, self.alone = supervisor, name, nested, alone
        self.uid = uid_below(supervisor.uid, name)
        self.generation = supervisor.next_generation()
        self.known = self.generation  # the latest that has been announced as starting, or its birth
        self.state = "waiting"
        self.inner = None  # the supervisor that it is, while it runs

    @property
    def hint(self):
        return self.uid, self.known, self.supervisor.lineage


class Supervisor:
    """One incarnation of a supervisor: sends its announcements over the channel of its node, in order."""

    def __init__(self, world, uid, generation, above, channel):
        self.world, self.uid, self.generation, self.channel = world, uid, generation, channel
        self.lineage = ((uid, generation), *(above.lineage if above else ()))
        self.children = {}
        self.counter = generation << EPOCH

    def next_generation(self):
        self.counter += 1
        return self.counter

    def say(self, news):
        self.world.send(self.channel, "announce", self.lineage, news)

    def add(self, name, nested, alone):
        child = self.children[name] = Child(self, name, nested, alone)
        self.say(Born(child.uid, child.generation, child.uid.encode(), nested))
        self.world.hints.append(child.hint)

    def start(self, child):
        child.state, child.known = "starting", child.generation
        home = f"node {child.uid} {child.generation}"
        self.say(Starting(child.uid, child.generation, home if child.alone else ""))
        self.world.hints.append(child.hint)
        if child.nested:
            channel = home if child.alone else self.channel
            child.inner = Supervisor(self.world, child.uid, child.generation, self, channel)
            for name in self.world.random.sample("abc", 2):
                child.inner.add(name, nested=name == "a" and len(self.lineage) < 3, alone=name != "b")
            child.inner.say(Listed())

    def ready(self, child):
        child.state = "up"
        self.say(Up(child.uid, child.generation, "somewhere", 7))

    def lose(self, child, final):
        """The incarnation has died; what it had not sent yet is lost if it ran alone."""
        died, child.generation = child.generation, self.next_generation()
        child.state = "down" if final else "waiting"
        if child.inner is not None:
            child.inner.kill(child.alone)
            child.inner = None
        self.say(Down(child.uid, died, child.generation, Lost("killed"), final))

    def kill(self, alone):
        if alone:
            unsent = self.world.channels.get(self.channel, [])
            del unsent[self.world.random.randint(0, len(unsent)) :]
            if not unsent:
                self.world.channels.pop(self.channel, None)
        for child in self.children.values():
            if child.inner is not None:
                child.inner.kill(child.alone)

    def bury(self, child):
        del self.children[child.name]
        self.say(Buried(child.uid))


class World:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.channels = {}
        self.hints = []
        self.logs = {}  # (watcher, uid) -> what it was told since it asked
        self.found = []
        self.asked = 0
        self.board = Board("root", self.tell, lambda question, about: self.found.append((question, about)))
        self.root = Supervisor(self, "root", 0, None, "root")
        self.root.say(Listed())

    def send(self, channel, *what):
        self.channels.setdefault(channel, []).append(what)

    def tell(self, watcher, message):
        log = self.logs[watcher, message.uid]
        assert not (log and isinstance(log[-1], Down) and log[-1].final), "told after a final death"
        deaths = [one.generation for one in log if isinstance(one, Down)]
        if isinstance(message, Down) and deaths:
            assert message.generation > deaths[-1], "a death is told twice, or out of order"
        if isinstance(message, Up) and message.node and deaths:
            assert message.generation > deaths[-1], "an incarnation is up after its death"
        log.append(message)

    def deliver(self, channel):
        what, *arguments = self.channels[channel].pop(0)
        if not self.channels[channel]:
            del self.channels[channel]
        if what == "watch":
            (watch,) = arguments
            log = self.logs.get((watch.watcher, watch.uid))
            if log is None or (log and isinstance(log[-1], Down) and log[-1].final):
                self.logs[watch.watcher, watch.uid] = []
                self.board.watch(watch)
        else:
            getattr(self.board, what)(*arguments)

    def supervisors(self, top=None):
        top = top or self.root
        yield top
        for child in top.children.values():
            if child.inner is not None:
                yield from self.supervisors(child.inner)

    def step(self):
        supervisor = self.random.choice(list(self.supervisors()))
        children = list(supervisor.children.values())
        child = self.random.choice(children) if children else None
        match self.random.choice(["deliver", "deliver", "deliver", "add", "change", "change", "watch", "find"]):
            case "deliver" if self.channels:
                self.deliver(self.random.choice(list(self.channels)))
            case "add":
                name = self.random.choice("abcd")
                if name not in supervisor.children:
                    nested = len(supervisor.lineage) < 4 and self.random.random() < 0.5
                    supervisor.add(name, nested, alone=self.random.random() < 0.6)
            case "change" if child is not None:
                self.change(supervisor, child)
            case "watch" if self.hints:
                uid, generation, lineage = self.random.choice(self.hints[-12:])
                watcher = self.random.choice(WATCHERS)
                self.send(watcher, "watch", Watch(uid, generation, lineage, watcher))
            case "find" if child is not None and child.state in ("starting", "up"):
                self.asked += 1
                asks = ((child.uid, child.generation), *supervisor.lineage)
                self.send(WATCHERS[0], "find", Find(self.asked, asks, self.random.choice("abcd"), "caller"))

    def change(self, supervisor, child):
        match child.state:
            case "waiting":
                supervisor.start(child)
            case "starting":
                supervisor.ready(child) if self.random.random() < 0.7 else supervisor.lose(child, final=True)
            case "up":
                supervisor.lose(child, final=self.random.random() < 0.3)
            case "down":
                supervisor.start(child) if self.random.random() < 0.5 else supervisor.bury(child)

    def rest(self):
        """Start what waits, and let everything arrive, in any order."""
        while busy := [
            (supervisor, child)
            for supervisor in self.supervisors()
            for child in supervisor.children.values()
            if child.state in ("waiting", "starting")
        ]:
            supervisor, child = busy[0]
            supervisor.start(child) if child.state == "waiting" else supervisor.ready(child)
        while self.channels:
            self.deliver(self.random.choice(list(self.channels)))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_everybody_who_asks_hears_what_is_true(seed):
    world = World(seed)
    for _ in range(world.random.choice([20, 80, 250])):
        world.step()
    world.rest()
    truth = {
        child.uid: child for supervisor in world.supervisors() for child in supervisor.children.values()
    }
    assert world.board.holding == 0
    assert len(world.found) == world.asked
    assert {entry.uid for entry in world.board} == {"root", *truth}
    for entry in world.board:
        if entry.uid != "root":
            assert (entry.state, entry.generation) == (truth[entry.uid].state, truth[entry.uid].generation)
    for (_, uid), log in world.logs.items():
        assert log, "a watcher has no answer"
        last = log[-1]
        child = truth.get(uid)
        if child is not None and child.state == "up" and not (isinstance(last, Down) and last.final):
            assert last == Up(uid, child.generation, "somewhere", 7)
        else:
            assert isinstance(last, Down)
            assert last.final


def board():
    told = []
    one = Board("root", lambda to, message: told.append((to, message)), lambda question, about: told.append(about))
    return one, told


ROOT = (("root", 0),)


def test_a_question_that_overtakes_the_birth_it_is_about_waits_for_it():
    one, told = board()
    one.announce(ROOT, Listed())
    one.watch(Watch("x", 1, ROOT, "w"))
    assert told == []
    one.announce(ROOT, Born("x", 1, b""))
    assert told == [("w", Up("x", 1, "", 0))]


def test_a_question_about_a_child_that_was_forgotten_is_answered():
    one, told = board()
    one.announce(ROOT, Born("x", 1, b""))
    one.announce(ROOT, Listed())
    one.announce(ROOT, Buried("x"))
    one.watch(Watch("x", 1, ROOT, "w"))
    ((_, down),) = told
    assert down.final


@pytest.mark.parametrize("again", [True, False])
def test_a_call_below_a_supervisor_that_restarts_ends_or_finds_the_new_child(again):
    one, told = board()
    one.announce(ROOT, Born("s", 1, b"", nested=True))
    one.announce(ROOT, Listed())
    one.announce(ROOT, Starting("s", 1, ""))
    first = (("s", 1), *ROOT)
    one.announce(first, Born("x", (1 << EPOCH) + 1, b""))
    one.announce(first, Listed())
    one.announce(ROOT, Down("s", 1, 2, Lost(), final=False))
    one.watch(Watch("x", (1 << EPOCH) + 1, first, "w"))
    assert told == []
    one.announce(ROOT, Starting("s", 2, ""))
    second = (("s", 2), *ROOT)
    if again:
        one.announce(second, Born("x", (2 << EPOCH) + 1, b""))
    one.announce(second, Listed())
    ((_, message),) = told
    assert isinstance(message, Up if again else Down)


def test_an_announcement_of_a_supervisor_that_has_died_changes_nothing():
    one, _ = board()
    one.announce(ROOT, Born("s", 1, b"", nested=True))
    one.announce(ROOT, Starting("s", 1, "its node"))
    one.announce(ROOT, Down("s", 1, 2, Lost(), final=False))
    one.announce((("s", 1), *ROOT), Born("x", (1 << EPOCH) + 1, b""))
    assert {entry.uid for entry in one} == {"root", "s"}
    assert one.holding == 0


def test_a_node_that_has_ended_is_told_nothing_any_more():
    one, told = board()
    one.announce(ROOT, Born("x", 1, b""))
    one.announce(ROOT, Born("client", 2, b""))
    one.announce(ROOT, Starting("client", 2, "its node"))
    one.watch(Watch("x", 1, ROOT, "its node"))
    one.announce(ROOT, Down("client", 2, 3, Lost(), final=True))
    told.clear()
    one.announce(ROOT, Starting("x", 1, ""))
    one.announce(ROOT, Up("x", 1, "there", 1))
    assert told == []
