"""How much memory do 10 000 queued messages take?

A PUSH with a higher high-water mark connects over ipc to an endpoint without a listener, and sends distinct
messages. The result is the growth of the resident memory of the process. Then a PULL binds to the endpoint and must
receive every message, which proves that the messages were queued. Each turn is a new process.
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
