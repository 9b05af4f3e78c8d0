"""How much memory do 10 000 queued messages take?

A PUSH with a high-water mark above that connects over ipc to an address where nobody listens yet, and sends
distinct messages; the growth of the process's resident memory is the figure. Then a PULL binds there and
every message must come out of it: they really were queued. Each turn is a fresh process.
"""

from bench.scenario import Comparison, Scenario, readable

SCENARIOS = tuple(
    Scenario(
        name=f"memory 10 000 x {readable(size)}",
        roles=("hoard",),
        transport="ipc",
        size=size,
        count=10_000,
        quick_count=10_000,
        warm_up=100,
        comparisons=[Comparison("growth", "B", "pyzmq")],
    )
    for size in (16, 1 << 10)
)
