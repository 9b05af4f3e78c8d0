"""How fast are requests, replies, routers and publishers, to another process and back?

Round trips: REQ to REP, and DEALER to ROUTER, one message at a time. Pipelined: a DEALER keeps a window of messages
under way to a ROUTER that sends each back. Publishing: one PUB, and so many SUBs in one other process, each of which
has the topics and receives every message; the rate is that of messages delivered. Each library receives as its programs
do: a task for each SUB with mq, a loop over all of them without one. High-water marks are off there, so that nothing is
dropped. Many peers: so many DEALERs in one process each send a burst of messages to one ROUTER and take
their echoes; the cost is the processor time of the ROUTER's process for a message, also against itself with ten.
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
