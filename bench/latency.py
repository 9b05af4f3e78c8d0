"""How long does a message take to another process and back, and how much processor time does that take?

One PAIR binds and echoes. The other PAIR connects, sends 16 bytes, waits for the echo, and measures each round
trip. The rivals are pyzmq's blocking calls, `zmq.asyncio`, and a bare Trio stream that carries the same 16 bytes
without any protocol.

`cpu` is the processor time of both processes together for one round trip. A library that spins while it waits has a
short round trip on two cores, and this number shows the price. On one core, the two processes share the core.
"""

import os

from bench.scenario import MAXIMUM, Comparison, Scenario, Target

TARGETS = {
    1: {
        ("p50", "Trio stream"): Target(MAXIMUM, 0.8),
        ("cpu", "pyzmq"): Target(MAXIMUM, 1.5),
    },
    2: {
        ("p50", "pyzmq"): Target(MAXIMUM, 0.7),
        ("p99", "pyzmq"): Target(MAXIMUM, 1.0),
        ("cpu", "pyzmq"): Target(MAXIMUM, 2.0),
    },
}
"""The targets by number of cores, metric and rival."""

NAMES = {1: "one core", 2: "two cores"}

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
"""Cores that this process may use, where the system lets it choose among them."""

SCENARIOS = tuple(
    Scenario(
        name=f"ping-pong {transport} {NAMES[cores]}",
        roles=("echo", "ping"),
        transport=transport,
        size=16,
        count=6_000,
        quick_count=600,
        warm_up=300,
        cores=cores,
        comparisons=[
            Comparison(metric, "s", rival, targets.get((metric, rival)))
            for rival in ("pyzmq", "zmq.asyncio", "Trio stream")
            for metric in ("p50", "p99", "cpu")
        ],
    )
    for cores, targets in TARGETS.items()
    if cores <= CORES
    for transport in ("tcp", "ipc")
)
