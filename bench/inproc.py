"""How many messages a second cross `inproc://`, within one loop and between two threads?

In one loop, the rival of PUSH and PULL is a Trio memory channel with the same limit: 2000 messages, the sum of
both default high-water marks. Between threads, each `mq` thread runs its own Trio loop. pyzmq uses blocking
threads that share a context.
"""

from bench.scenario import MINIMUM, Comparison, Scenario, Target

SCENARIOS = (
    Scenario(
        name="inproc one loop",
        roles=("one_loop",),
        transport="inproc",
        size=16,
        count=100_000,
        quick_count=20_000,
        comparisons=[Comparison("rate", "/s", "memory channel", Target(MINIMUM, 3))],
    ),
    Scenario(
        name="inproc two threads",
        roles=("two_threads",),
        transport="inproc",
        size=16,
        count=500_000,
        quick_count=50_000,
        comparisons=[Comparison("rate", "/s", "pyzmq")],
    ),
)
