"""How long does a message take to another process and back?

One PAIR binds and echoes. The other PAIR connects, sends 16 bytes, waits for the echo, and measures each round
trip. The rivals are pyzmq's blocking calls, `zmq.asyncio`, and a bare Trio stream that carries the same 16 bytes
without any protocol.
"""

from bench.scenario import MAXIMUM, Comparison, Scenario, Target

SCENARIOS = tuple(
    Scenario(
        name=f"ping-pong {transport}",
        roles=("echo", "ping"),
        transport=transport,
        size=16,
        count=6_000,
        quick_count=600,
        warm_up=300,
        comparisons=[
            Comparison(metric, "s", rival, target if metric == "p50" else None)
            for rival, target in (
                ("pyzmq", Target(MAXIMUM, 0.9)),
                ("zmq.asyncio", None),
                ("Trio stream", None),
            )
            for metric in ("p50", "p99")
        ],
    )
    for transport in ("tcp", "ipc")
)
