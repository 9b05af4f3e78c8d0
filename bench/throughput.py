"""How many messages a second does a PUSH give a PULL in another process?

PULL binds, PUSH connects, options are the defaults of both libraries (so both high-water marks are 1000).
Warm-up messages come first; the receiver then says "go", and its clock runs from the first to the last
message it takes out. It checks the size of each message and the bodies of the first and the last. pyzmq's
side is its plain blocking loop: `send(body)` and `recv()` (copy=True, the default), the methods bound to
locals; ours is the same loop with `await`.
"""

from bench.scenario import MINIMUM, Comparison, Scenario, Target, readable

#            size, least ratio, messages a round, with --quick
WORKLOADS = (
    (16, 1.5, 1_200_000, 120_000),
    (1 << 10, 1.5, 400_000, 40_000),
    (1 << 16, 1.4, 20_000, 2_000),
    (1 << 20, 1.2, 1_200, 150),
)

SCENARIOS = tuple(
    Scenario(
        name=f"push-pull {transport} {readable(size)}",
        roles=("pull", "push"),
        transport=transport,
        size=size,
        count=count,
        quick_count=quick_count,
        warm_up=quick_count // 3,
        comparisons=[Comparison("rate", "/s", "pyzmq", Target(MINIMUM, least))],
    )
    for transport in ("tcp", "ipc")
    for size, least, count, quick_count in WORKLOADS
)
