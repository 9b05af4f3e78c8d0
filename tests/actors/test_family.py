"""The machine of a supervisor's children, under any order of events that a supervisor can see."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.protocols.family import Family
from actors.protocols.orders import Died, Ends, Gone, Retried, Settled, Start, Stop
from actors.protocols.policy import Budget
from actors.values.reasons import Lost, Normal, Shutdown
from actors.values.spec import AT_ONCE, Backoff

RESTARTS = ["permanent", "transient", "temporary"]
STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"]
NAMES = "abcdef"


class Supervision(RuleBasedStateMachine):
    """Plays the supervisor's part: starts, stops and ends incarnations as it is told, at any time."""

    @initialize(
        strategy=st.sampled_from(STRATEGIES),
        intensity=st.sampled_from([0, 2, 1000]),
        auto=st.sampled_from(["never", "any_significant", "all_significant"]),
    )
    def open(self, strategy, intensity, auto):
        self.now = 0.0
        self.strategy = strategy
        self.family = Family(strategy, Budget(intensity, 5.0), auto)
        self.running = {}  # name -> "starting", "up" or "stopping"
        self.generation = {}  # name -> of the incarnation that runs
        self.dead = {}  # name -> generation of the last Died
        self.final = {}  # name -> was the last Died final?
        self.unsettled = set()
        self.held = set()
        self.by_hand = set()
        self.ended = None

    def obey(self):
        actions, self.family.actions = self.family.actions, []
        for action in actions:
            getattr(self, f"_{type(action).__name__.lower()}")(action)

    def _start(self, action: Start):
        assert action.name not in self.running
        assert action.name not in self.held, "a child that was stopped by hand starts by itself"
        assert action.generation > self.dead.get(action.name, 0)
        if self.strategy != "one_for_one" and action.name not in self.by_hand:
            assert "stopping" not in {
                state for name, state in self.running.items() if name not in self.held
            }, "a child of a group starts before all have stopped"
        self.running[action.name] = "starting"
        self.generation[action.name] = action.generation
        self.final.pop(action.name, None)

    def _stop(self, action: Stop):
        assert self.running[action.name] in ("starting", "up")
        assert self.generation[action.name] == action.generation
        self.running[action.name] = "stopping"

    def _died(self, action: Died):
        assert action.generation > self.dead.get(action.name, 0), "a death is told twice"
        assert action.following > action.generation
        assert action.name not in self.running
        self.dead[action.name] = action.generation
        self.final[action.name] = action.final

    def _gone(self, action: Gone):
        assert action.name not in self.running
        for known in (self.dead, self.final, self.generation):
            known.pop(action.name, None)
        self.held.discard(action.name)

    def _settled(self, action: Settled):
        self.unsettled.remove(action.name)
        self.by_hand.discard(action.name)

    def _retried(self, action: Retried):
        assert action.name not in self.running

    def _ends(self, action: Ends):
        assert self.ended is None
        self.ended = action.how

    # -- what may happen

    @property
    def open_still(self):
        return not self.family.closing

    @precondition(lambda self: self.open_still and len(self.family.kids) < len(NAMES))
    @rule(data=st.data(), restart=st.sampled_from(RESTARTS), slow=st.booleans(), significant=st.booleans())
    def add(self, data, restart, slow, significant):
        name = data.draw(st.sampled_from([name for name in NAMES if name not in self.family.kids]))
        backoff = Backoff(initial=1.0, maximum=4.0, jitter=0.0) if slow else AT_ONCE
        self.family.add(name, restart, backoff, significant)
        self.start_by_hand(name)

    def start_by_hand(self, name):
        self.held.discard(name)
        self.unsettled.add(name)
        self.by_hand.add(name)
        self.family.start(name)
        self.obey()

    def chosen(self, data, *states):
        return data.draw(st.sampled_from([name for name, state in self.running.items() if state in states]))

    @precondition(lambda self: "starting" in self.running.values())
    @rule(data=st.data())
    def ready(self, data):
        name = self.chosen(data, "starting")
        self.running[name] = "up"
        self.family.ready(name, self.generation[name], self.now)
        self.obey()

    @precondition(lambda self: "stopping" in self.running.values())
    @rule(data=st.data())
    def ready_too_late(self, data):
        name = self.chosen(data, "stopping")
        self.family.ready(name, self.generation[name], self.now)
        self.obey()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), reason=st.sampled_from([Normal(), Lost()]))
    def end(self, data, reason):
        name = self.chosen(data, "starting", "up", "stopping")
        del self.running[name]
        self.family.ended(name, self.generation[name], reason, self.now)
        self.obey()

    @precondition(lambda self: "stopping" in self.running.values())
    @rule(data=st.data())
    def end_stopped(self, data):
        name = self.chosen(data, "stopping")
        del self.running[name]
        self.family.ended(name, self.generation[name], Shutdown(), self.now)
        self.obey()

    @precondition(lambda self: self.open_still and self.family.kids)
    @rule(data=st.data())
    def stop(self, data):
        name = data.draw(st.sampled_from(sorted(self.family.kids)))
        self.held.add(name)
        self.family.stop(name, self.now)
        self.obey()
        if name in self.family.kids:
            assert self.family.kids[name].state in ("down", "stopping")

    @precondition(lambda self: self.open_still and any(k.state == "down" for k in self.family.kids.values()))
    @rule(data=st.data(), delete=st.booleans())
    def restart_or_delete(self, data, delete):
        down = sorted(name for name, kid in self.family.kids.items() if kid.state == "down")
        name = data.draw(st.sampled_from(down))
        if delete:
            self.family.delete(name)
            self.obey()
        else:
            self.start_by_hand(name)

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds):
        self.now += seconds
        self.family.tick(self.now)
        self.obey()

    @precondition(lambda self: self.open_still and self.ended)
    @rule()
    def close(self):
        self.held |= set(self.family.kids)
        self.family.close(self.now)
        self.obey()

    # -- what holds

    @invariant()
    def the_state_shown_is_the_state_that_is(self):
        for name, kid in self.family.kids.items():
            if name in self.running:
                assert kid.state == self.running[name]
                assert kid.generation == self.generation[name]
            else:
                assert kid.state in ("down", "waiting")

    @invariant()
    def nobody_waits_for_a_child_that_is_down(self):
        for name, kid in self.family.kids.items():
            if kid.state == "down" and kid.begun:
                assert self.final[name]
            if name in self.held and not self.family.closing:
                assert kid.state in ("down", "stopping")

    def teardown(self):
        """Let everything that is under way come to its end: then each child is where it belongs."""
        for _ in range(200):
            if "stopping" in self.running.values():
                name = next(name for name, state in self.running.items() if state == "stopping")
                del self.running[name]
                self.family.ended(name, self.generation[name], Shutdown(), self.now)
            elif "starting" in self.running.values():
                name = next(name for name, state in self.running.items() if state == "starting")
                self.running[name] = "up"
                self.family.ready(name, self.generation[name], self.now)
            elif self.ended and not self.family.closing:
                self.held |= set(self.family.kids)
                self.family.close(self.now)
            elif self.family.deadline is not None:
                self.now = max(self.now, self.family.deadline)
                self.family.tick(self.now)
            else:
                break
            self.obey()
        else:
            raise AssertionError("it never comes to rest")
        assert not self.unsettled, "somebody waits for a start for ever"
        assert not self.family._recoveries
        for name, kid in self.family.kids.items():
            assert kid.state in ("up", "down")
            if name in self.held:
                assert kid.state == "down"
            if self.family.closing:
                assert kid.state == "down"
        if self.ended is not None:
            assert self.family.closed


TestSupervision = Supervision.TestCase
TestSupervision.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def family(strategy="one_for_one", intensity=9, backoff=AT_ONCE):
    one = Family(strategy, Budget(intensity, 5.0))
    for name in "abc":
        one.add(name, "permanent", backoff)
        one.start(name)
        one.ready(name, one.kids[name].generation, 0.0)
    one.actions.clear()
    return one


def end(one, name, reason=Lost()):  # noqa: B008
    one.ended(name, one.kids[name].generation, reason, 0.0)
    return take(one)


def take(one):
    actions, one.actions = one.actions, []
    return [f"{type(each).__name__} {each.name}" for each in actions if isinstance(each, Start | Stop)]


def serve(one, name):
    one.ready(name, one.kids[name].generation, 0.0)
    return take(one)


@pytest.mark.parametrize(
    ("strategy", "steps"),
    [
        ("one_for_one", ["Start b"]),
        ("rest_for_one", ["Stop c", "Start b", "Start c"]),
        ("one_for_all", ["Stop c", "Stop a", "Start a", "Start b", "Start c"]),
    ],
)
def test_a_group_stops_in_reverse_order_and_starts_in_order_one_at_a_time(strategy, steps):
    one = family(strategy)
    done, now = [], end(one, "b")
    while now:
        (step,) = now
        done.append(step)
        verb, name = step.split()
        now = end(one, name, Shutdown()) if verb == "Stop" else serve(one, name)
    assert done == steps


def test_a_sibling_that_dies_while_it_waits_to_be_stopped_costs_nothing():
    one = family("one_for_all", intensity=1)
    assert end(one, "a") == ["Stop c"]
    assert end(one, "b") == []
    assert end(one, "c") == ["Start a"]
    assert not one.ending


def test_a_child_stopped_by_hand_during_a_group_restart_stays_down_and_may_be_restarted():
    one = family("one_for_all")
    assert end(one, "a") == ["Stop c"]
    one.stop("b", 0.0)
    assert take(one) == ["Stop b"]
    assert end(one, "c") == []
    assert end(one, "b") == ["Start a"]
    one.start("b")
    assert take(one) == ["Start b"]
    assert serve(one, "a") == ["Start c"]
    assert one.kids["b"].state == "starting"


def test_a_sibling_held_down_by_a_group_restart_is_waiting():
    one = family("rest_for_one", backoff=Backoff(initial=1.0, jitter=0.0))
    assert end(one, "b") == ["Stop c"]
    assert end(one, "c") == []
    assert [kid.state for kid in one.kids.values()] == ["up", "waiting", "waiting"]
    assert one.deadline == 1.0
    one.tick(1.0)
    assert take(one) == ["Start b"]
