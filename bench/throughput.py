"""How many messages a second does a PUSH send to a PULL in another process?

PULL binds and PUSH connects. Both libraries use their default options, so both high-water marks are 1000. After the
warm-up messages, the receiver says "go". The receiver measures the time from the first message that it receives to the
last. It checks the size of each message and the bodies of the first and the last. pyzmq uses a plain blocking loop of
`send(body)` and `recv()` (copy=True, the default), with the methods bound to local names. mq uses the same loop with
`await`. Over tcp there is also a C program, which calls zmq_send() and zmq_msg_recv() for each message.
"""

from bench.compiled import IN_C
from bench.scenario import MINIMUM, Comparison, Scenario, Target, readable

#            size, minimum ratio over tcp and ipc, messages per round, the same with --quick
WORKLOADS = (
    (16, (1.5, 1.5), 1_200_000, 120_000),
    (1 << 10, (1.5, 1.8), 400_000, 40_000),
    (1 << 16, (1.4, 1.8), 20_000, 2_000),
    (1 << 20, (1.2, 1.3), 1_200, 150),
)

MANY = (
    (16, 1.0, 4_000_000, 400_000),
    (1 << 10, 2.0, 800_000, 80_000),
)
"""As above, for lists of messages over tcp, against the C program."""

ONE_BY_ONE = tuple(
    Scenario(
        name=f"push-pull {transport} {readable(size)}",
        roles=("pull", "push"),
        transport=transport,
        size=size,
        count=count,
        quick_count=quick_count,
        warm_up=quick_count // 3,
        comparisons=[
            Comparison("rate", "/s", "pyzmq", Target(MINIMUM, least[index])),
            *([Comparison("rate", "/s", IN_C)] if transport == "tcp" else []),
        ],
    )
    for index, transport in enumerate(("tcp", "ipc"))
    for size, least, count, quick_count in WORKLOADS
)

LISTS = tuple(
    Scenario(
        name=f"send_many {readable(size)}",
        roles=("pull_many", "push_many"),
        transport="tcp",
        size=size,
        count=count,
        quick_count=quick_count,
        warm_up=quick_count // 3,
        comparisons=[Comparison("rate", "/s", IN_C, Target(MINIMUM, least))],
    )
    for size, least, count, quick_count in MANY
)

SCENARIOS = (*ONE_BY_ONE, *LISTS)
