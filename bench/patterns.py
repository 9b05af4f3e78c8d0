"""How fast are requests, replies, routers and publishers, to another process and back?

Round trips: REQ to REP, and DEALER to ROUTER, one message at a time.

Pipelined: a DEALER keeps a window of messages in flight to a ROUTER, which sends each message back.

Publishing: one PUB, and many SUBs in one other process. Each SUB subscribes to all topics and receives every message.
The rate counts delivered messages. Each library receives in its usual way: mq with one task per SUB, pyzmq with one
loop over all SUBs. High-water marks are off, so no message is dropped.

Many peers: many DEALERs in one process each send a burst of messages to one ROUTER and receive the echoes. The cost is
the processor time of the ROUTER's process per message. It is also compared with the cost for ten peers.
"""

from bench.scenario import MAXIMUM, MINIMUM, OURS_WITH_FEWER, Comparison, Scenario, Target

ROUND_TRIPS = tuple(
    Scenario(
        name=f"{name} {transport}",
        roles=roles,
        transport=transport,
        size=16,
        count=6_000,
        quick_count=600,
        warm_up=300,
        comparisons=[
            Comparison("p50", "s", "pyzmq", Target(MAXIMUM, 0.9)),
            Comparison("p99", "s", "pyzmq"),
        ],
    )
    for name, roles in (("req-rep", ("rep", "req")), ("dealer-router", ("router", "dealer")))
    for transport in ("tcp", "ipc")
)

PIPELINED = tuple(
    Scenario(
        name=f"dealer-router pipelined {transport}",
        roles=("router", "dealer_ahead"),
        transport=transport,
        size=16,
        count=200_000,
        quick_count=20_000,
        window=200,
        comparisons=[Comparison("rate", "/s", "pyzmq", Target(MINIMUM, 1.2))],
    )
    for transport in ("tcp", "ipc")
)

PUBLISHING = tuple(
    Scenario(
        name=f"pub {fans} sub{'s' * (fans > 1)} {topics} topic{'s' * (topics > 1)}",
        roles=("pub", "subs"),
        transport="tcp",
        size=64,
        count=2_000_000 // fans,
        quick_count=200_000 // fans,
        warm_up=200,
        fans=fans,
        topics=topics,
        comparisons=[Comparison("rate", "/s", "pyzmq", Target(MINIMUM, 1.2))],
    )
    for topics in (1, 10_000)
    for fans in (1, 10, 100)
)

MANY_PEERS = (
    Scenario(
        name="router 1000 peers",
        roles=("router_of_many", "dealers"),
        transport="ipc",
        size=16,
        count=100_000,
        quick_count=40_000,
        warm_up=0,
        fans=1_000,
        window=20,
        comparisons=[
            Comparison("cost", "s", OURS_WITH_FEWER, Target(MAXIMUM, 1.5)),
            Comparison("cost", "s", "pyzmq"),
        ],
    ),
)

SCENARIOS = (*ROUND_TRIPS, *PIPELINED, *PUBLISHING, *MANY_PEERS)
