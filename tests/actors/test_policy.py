"""The policy against OTP's clauses, written out a second time by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocols import policy
from actors.protocols.policy import Again, Budget, GiveUp, Leave, Member, Remove
from actors.values.failure import Failure
from actors.values.reasons import Crashed, Exited, Killed, Lost, Normal, Shutdown, Signal, StartTimeout
from actors.values.spec import AT_ONCE, Backoff

REASONS = [
    Normal(), Shutdown(), Crashed(Failure.of(ValueError())), Signal(9), Exited(3), Killed(), Lost(), StartTimeout(1),
]  # fmt: skip
RESTARTS = ["permanent", "transient", "temporary"]
STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"]

members = st.lists(st.sampled_from(RESTARTS), min_size=1, max_size=6).map(
    lambda types: [Member(f"child-{number}", restart) for number, restart in enumerate(types)]
)
budgets = st.builds(
    Budget,
    intensity=st.integers(0, 5),
    period=st.floats(0.1, 20),
    times=st.lists(st.floats(0, 100), max_size=6).map(lambda times: tuple(sorted(times, reverse=True))),
)


@given(members, st.data(), st.sampled_from(STRATEGIES), st.sampled_from(REASONS), budgets)
def test_every_exit_is_decided_as_otp_decides_it(members, data, strategy, reason, budget):
    index = data.draw(st.integers(0, len(members) - 1))
    now = 100.0
    decision = policy.after_exit(members, members[index].name, strategy, reason, budget, now)
    assert decision == otp(members, index, strategy, reason, budget, now)


def otp(members, index, strategy, reason, budget, now):
    """supervisor.erl: do_restart, add_restart, restart/3, in prose turned into ifs."""
    failed = members[index]
    normal_or_shutdown = isinstance(reason, Normal | Shutdown)
    if failed.restart == "temporary":
        return Remove()
    if failed.restart == "transient" and normal_or_shutdown:
        return Leave()
    recent = [now] + [time for time in budget.times if now - budget.period <= time]
    spent = Budget(budget.intensity, budget.period, tuple(recent))
    if len(recent) > budget.intensity:
        return GiveUp(spent)
    if strategy == "one_for_one":
        victims, others = [], []
    elif strategy == "rest_for_one":
        victims, others = members[index + 1 :], members[index:]
    else:
        victims, others = [m for m in members if m is not failed], list(members)
    back = [failed.name] if strategy == "one_for_one" else []
    for member in others:
        if member is failed or member.restart != "temporary":
            back.append(member.name)
    return Again(
        stop=tuple(m.name for m in victims[::-1]),
        drop=tuple(m.name for m in victims if m.restart == "temporary"),
        start=tuple(back),
        budget=spent,
    )


@given(st.lists(st.floats(0, 60), min_size=1, max_size=40), st.integers(0, 5), st.floats(0.5, 10))
def test_a_window_never_holds_more_restarts_than_the_intensity(gaps, intensity, period):
    now, budget, allowed = 0.0, Budget(intensity, period), []
    for gap in gaps:
        now += gap
        good, budget = budget.spend(now)
        if not good:
            break
        allowed.append(now)
    for end in allowed:
        assert sum(end - period <= time <= end for time in allowed) <= intensity


def test_otps_default_allows_one_restart_in_five_seconds():
    good, budget = Budget(1, 5.0).spend(10.0)
    assert good
    assert not budget.spend(15.0)[0]
    assert budget.spend(15.1)[0]


@given(st.builds(Backoff, initial=st.floats(0.01, 5), factor=st.floats(1, 4), jitter=st.floats(0, 1)),
       st.integers(1, 2000), st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_within_its_bounds(backoff, failures, luck):
    delay = policy.delay(backoff, failures, luck)
    assert 0 <= delay <= backoff.maximum * (1 + backoff.jitter)


def test_delays_grow_to_the_maximum_and_start_again_after_a_healthy_time():
    backoff = Backoff(initial=1, factor=2, maximum=5, jitter=0, healthy=60)
    assert [policy.delay(backoff, n, 0.5) for n in (1, 2, 3, 4)] == [1, 2, 4, 5]
    assert policy.failures_in_a_row(backoff, 3, uptime=59) == 4
    assert policy.failures_in_a_row(backoff, 3, uptime=60) == 1


def test_without_backoff_a_restart_is_immediate():
    assert policy.delay(AT_ONCE, 7, 0.9) == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_retry_costs_one_of_the_budget(strategy):
    team = [Member("a", "permanent"), Member("b", "permanent")]
    first = policy.again(team, "b", strategy, Budget(1, 5.0), 1.0)
    assert isinstance(first, Again)
    assert isinstance(policy.again(team, "b", strategy, first.budget, 2.0), GiveUp)
