"""The pipeline's book keeps its promises under any order of events: bounded, complete, once, in order."""

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.protocols.ledger import Entry, Ledger

workers = st.integers(0, 2)
stages = st.integers(0, 1)


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Two stages with three workers each, which work, fail, die and answer late in any order."""

    @initialize(window=st.integers(1, 6), redeliveries=st.integers(0, 3), ordered=st.booleans())
    def open(self, window: int, redeliveries: int, ordered: bool) -> None:
        self.ledger = Ledger(2, window, redeliveries, ordered)
        self.held: dict[tuple[int, int], list[Entry]] = {}
        self.delivered: list[Entry] = []
        self.answered: list[tuple[int, int, int]] = []

    @precondition(lambda self: self.ledger.has_room and not self.ledger.closed)
    @rule()
    def read(self) -> None:
        self.ledger.admit(f"item {self.ledger.admitted}")

    @rule(stage=stages, worker=workers, limit=st.integers(1, 3))
    def take(self, stage: int, worker: int, limit: int) -> None:
        taken = self.ledger.take(stage, worker, limit)
        assert len(taken) <= limit
        self.held.setdefault((stage, worker), []).extend(taken)

    @rule(stage=stages, worker=workers, fails=st.booleans())
    def answer(self, stage: int, worker: int, fails: bool) -> None:
        held = self.held.get((stage, worker), [])
        if held:
            index = held.pop(0).index
            self.answered.append((stage, worker, index))
            if fails:
                assert self.ledger.fail(stage, worker, index, ValueError(index))
            else:
                assert self.ledger.finish(stage, worker, index, (stage, index))

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def answer_again(self, data: st.DataObject) -> None:
        stage, worker, index = data.draw(st.sampled_from(self.answered))
        if index not in [entry.index for entry in self.held.get((stage, worker), [])]:
            before = self.ledger.duplicates
            assert not self.ledger.finish(stage, worker, index, "late")
            assert self.ledger.duplicates == before + 1

    @rule(stage=stages, worker=workers)
    def die(self, stage: int, worker: int) -> None:
        held = self.held.pop((stage, worker), [])
        for entry in self.ledger.lose(stage, worker, [entry.index for entry in held]):
            assert entry.deaths == self.ledger.redeliveries + 1
            assert self.ledger.fail(stage, worker, entry.index, RuntimeError("poison"))

    @rule()
    def deliver(self) -> None:
        if entry := self.ledger.next_ready():
            self.delivered.append(entry)
            self.ledger.settle()

    @invariant()
    def the_window_holds(self) -> None:
        assert 0 <= self.ledger.live <= self.ledger.window

    @invariant()
    def every_item_is_delivered_at_most_once(self) -> None:
        indexes = [entry.index for entry in self.delivered]
        assert len(set(indexes)) == len(indexes)
        if self.ledger.ordered:
            assert indexes == list(range(len(indexes)))

    @invariant()
    def results_are_the_first_answers(self) -> None:
        assert all(entry.error or entry.value == (1, entry.index) for entry in self.delivered)

    @invariant()
    def a_suspect_is_alone_on_its_worker(self) -> None:
        for entries in self.held.values():
            assert len(entries) <= 1 or not any(entry.suspect for entry in entries)

    @invariant()
    def suspects_are_counted(self) -> None:
        held = [entry for holder in self.ledger._held.values() for entry in holder.values()]
        everything = [*held, *itertools.chain(*self.ledger._waiting)]
        assert self.ledger.suspects == sum(entry.suspect for entry in everything)
        assert len(everything) + len(self.ledger._ready) == self.ledger.live

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        self.ledger.close()
        for _ in range(200):
            for stage in (0, 1):
                for worker in (0, 1, 2):
                    self.take(stage, worker, 2)
                    self.answer(stage, worker, False)
            self.deliver()
        assert self.ledger.done
        assert sorted(entry.index for entry in self.delivered) == list(range(self.ledger.admitted))


AnyOrderOfEvents.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase


def test_a_lost_item_comes_before_the_items_never_tried() -> None:
    ledger = Ledger(1, 4)
    for item in "abc":
        ledger.admit(item)
    (first,) = ledger.take(0, 0)
    ledger.lose(0, 0, [first.index])
    assert [entry.item for entry in ledger.take(0, 1)] == ["a"]


def test_the_neighbours_of_a_poisonous_item_are_blamed_once() -> None:
    ledger = Ledger(1, 4, redeliveries=1)
    for item in ("poison", "b", "c"):
        ledger.admit(item)
    ledger.lose(0, 0, [entry.index for entry in ledger.take(0, 0, limit=3)])
    assert [entry.item for entry in ledger.take(0, 0, limit=3)] == ["poison"]
    assert [entry.item for entry in ledger.lose(0, 0, [0])] == ["poison"]
    ledger.fail(0, 0, 0, RuntimeError())
    for expected in "bc":
        (entry,) = ledger.take(0, 0, limit=3)
        assert (entry.item, entry.deaths) == (expected, 1)
        ledger.finish(0, 0, entry.index, None)


def test_a_stage_forgives_what_happened_in_the_stage_before() -> None:
    ledger = Ledger(2, 1, redeliveries=1)
    ledger.admit("a")
    for _ in range(2):
        (entry,) = ledger.take(0, 0)
        if not entry.suspect:
            ledger.lose(0, 0, [0])
    ledger.finish(0, 0, 0, "b")
    (entry,) = ledger.take(1, 0)
    assert not entry.suspect
    assert ledger.lose(1, 0, [0]) == []


def test_ordered_results_wait_for_the_slowest_and_take_no_room_of_others() -> None:
    ledger = Ledger(1, 3, ordered=True)
    for item in "abc":
        ledger.admit(item)
    assert not ledger.has_room
    ledger.take(0, 0, limit=3)
    ledger.finish(0, 0, 2, "C")
    ledger.finish(0, 0, 1, "B")
    assert ledger.next_ready() is None
    assert not ledger.has_room
    ledger.finish(0, 0, 0, "A")
    assert [ledger.next_ready().value for _ in range(3)] == ["A", "B", "C"]
