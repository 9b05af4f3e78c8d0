"""What does the help say? Each command in one line, and the examples that teach it."""

from __future__ import annotations

ABOUT = (
    "ZeroMQ sockets in a shell: what comes on standard input is sent, what is received goes to standard output.",
    """\
a first look, in two terminals:
  python -m mq pull --bind 'tcp://*:5555'
  echo hello | python -m mq push --connect tcp://localhost:5555

endpoints: tcp://HOST:PORT, ipc://PATH. --bind listens, --connect connects; an endpoint alone connects, and with @
before it binds: @tcp://*:5555. A socket may have many, and either side may bind. A wildcard port is told on standard
error: bound tcp://127.0.0.1:49152.

exit status: 0 done; 1 something was lost or went wrong on the way; 2 the command line or an endpoint is wrong;
130 Ctrl-C; 143 SIGTERM.

python -m mq COMMAND --help has examples of each command.
""",
)

_TWO_WAYS = """
It sends and receives at once. After the end of input it stays for answers until nothing has come for a second; --stay
and --count change that.
"""

COMMANDS: dict[str, tuple[str, str]] = {
    "push": ("send each line to one of the pullers, in turn", """\
examples:
  seq 100 | python -m mq push --bind 'tcp://*:5555'
  python -m mq push -c tcp://localhost:5555 -m 'a task' --count 1000
  python -m mq push -c tcp://a:5555 -c tcp://b:5555 --wait 2 < tasks.txt
  python -m mq push -c ipc:///tmp/files --format raw < photo.jpg
"""),
    "pull": ("write what pushers send, each message on a line", """\
examples:
  python -m mq pull --bind 'tcp://*:5555'
  python -m mq pull -c tcp://localhost:5555 --count 10 | sort
  python -m mq pull -b ipc:///tmp/files --format raw --count 1 > photo.jpg
"""),
    "pub": ("publish each line to whoever has subscribed to what it begins with", """\
Waits for a first subscriber, as what is published before is lost; --wait 0 does not. A subscriber that is too slow
misses messages, which is told at the end, by exit status 1; with -o xpub_nodrop=true it is waited for.

examples:
  python -m mq pub --bind 'tcp://*:5556' < news.txt
  python -m mq pub -b 'tcp://*:5556' -m 'weather rain' --count 10 --interval 1
"""),
    "sub": ("write what is published and begins with one of the topics", """\
examples:
  python -m mq sub --connect tcp://localhost:5556
  python -m mq sub -c tcp://localhost:5556 --subscribe weather --subscribe sports --count 3
"""),
    "req": ("send each line as a request, and write its reply", """\
examples:
  echo hello | python -m mq req --connect tcp://localhost:5557
  python -m mq req -c tcp://localhost:5557 -m now --timeout 2
"""),
    "rep": ("answer requests: with their echo, a command or a text, or by hand", """\
Without --echo, --exec and --reply, each request is written, and the next line of standard input is its reply.

examples:
  python -m mq rep --bind 'tcp://*:5557' --echo
  python -m mq rep --bind 'tcp://*:5557' --exec 'tr a-z A-Z'
  python -m mq rep --bind 'tcp://*:5557' --reply ok --count 1
"""),
    "dealer": ("send each line to one of the peers, in turn, and write what comes back", """\
To speak with a REP, an empty frame comes first: -s / and the line "/request".
""" + _TWO_WAYS + """
examples:
  echo hello | python -m mq dealer --connect tcp://localhost:5558 --identity me
  echo /hello | python -m mq dealer -c tcp://localhost:5557 -s / --count 1
"""),
    "router": ("write what comes after the name of its sender, and send to the peer that a line names", """\
A line is the peer's routing id, a tab and the message. A routing id that is no text is written 0x00e3c1a45d, and read
so. That of a request, as from a REQ, ends in a slash: repeat all that stands before the tab to answer it.
""" + _TWO_WAYS + """
examples:
  python -m mq router --bind 'tcp://*:5558'
  printf 'me\\thello\\n' | python -m mq router -b 'tcp://*:5558' -o router_mandatory=true --wait 1
"""),
    "pair": ("talk with one peer, line by line", _TWO_WAYS + """
examples:
  python -m mq pair --bind 'tcp://*:5559'
  python -m mq pair --connect tcp://localhost:5559
"""),
    "xpub": ("publish each line, and write the subscriptions", """\
A subscription is written as byte 1 and its topic, its end as byte 0 and its topic; --format escaped shows them.
""" + _TWO_WAYS + """
examples:
  python -m mq xpub --bind 'tcp://*:5556' --format escaped --no-input
"""),
    "xsub": ("write what is published, and send subscriptions line by line", """\
With --format escaped, \\x01topic subscribes and \\x00topic ends that.
""" + _TWO_WAYS + """
examples:
  python -m mq xsub --connect tcp://localhost:5556 --subscribe weather --no-input
"""),
    "client": ("send each line to one of the servers, in turn, and write what comes back", _TWO_WAYS + """
examples:
  echo hello | python -m mq client --connect tcp://localhost:5560
"""),
    "server": ("write what clients send after their number, and send to the client that a line names", """\
A line is the client's number, a tab and the message.
""" + _TWO_WAYS + """
examples:
  python -m mq server --bind 'tcp://*:5560'
"""),
    "radio": ("send each line to whoever has joined its group", """\
A line is the group, a tab and the message, or only the message with --group. Waits for a first dish that has joined.

examples:
  python -m mq radio --bind 'tcp://*:5561' --group weather < news.txt
"""),
    "dish": ("write what is sent to the groups it has joined, after the group and a tab", """\
examples:
  python -m mq dish --connect tcp://localhost:5561 --join weather
"""),
    "scatter": ("send each line to one of the gatherers, in turn", """\
examples:
  seq 100 | python -m mq scatter --bind 'tcp://*:5562'
"""),
    "gather": ("write what scatterers send", """\
examples:
  python -m mq gather --connect tcp://localhost:5562
"""),
    "channel": ("talk with one peer, in messages of one frame", _TWO_WAYS + """
examples:
  python -m mq channel --bind 'tcp://*:5563'
"""),
    "stream": ("exchange bytes with peers that speak no ZMTP, each after the name of its connection", """\
An empty message is a connection that has come or gone; to send one closes it. --format escaped suits most protocols.
""" + _TWO_WAYS + """
examples:
  python -m mq stream --bind 'tcp://*:8080' --format escaped
"""),
    "proxy": ("pass messages on between two sockets", """\
PULL and PUSH, XSUB and XPUB, ROUTER and DEALER are the usual pairs. @ before an endpoint binds it, as is usual here.

examples:
  python -m mq proxy router '@tcp://*:5557' dealer '@tcp://*:5558'
  python -m mq proxy xsub '@tcp://*:5559' xpub '@tcp://*:5556' --capture '@ipc:///tmp/tap'
  python -m mq proxy pull '@tcp://*:5555' push tcp://a:5555,tcp://b:5555 --control '@tcp://127.0.0.1:5564'
  python -m mq req -c tcp://127.0.0.1:5564 -m STATISTICS --output-format hex
"""),
    "monitor": ("write the events of a socket's links", """\
The socket is a peer like any other: what is sent to it is not read, so have it connect where that does no harm.

examples:
  python -m mq monitor sub --connect tcp://localhost:5556
  python -m mq monitor pull --bind 'tcp://*:5555' --format json
"""),
    "ping": ("measure round trips to a peer", """\
Sends PING commands, which any peer of ZMTP 3.1 answers, whatever its socket is for; or requests to a rep --echo.

examples:
  python -m mq ping tcp://localhost:5555
  python -m mq ping tcp://localhost:5557 --req --count 100 --interval 0
"""),
    "bench": ("measure messages and round trips between two processes on this machine", """\
examples:
  python -m mq bench
  python -m mq bench throughput --size 1000 --transport ipc
"""),
    "keygen": ("make a pair of keys for CURVE, in Z85", """\
example:
  python -m mq keygen

Needs PyNaCl: pip install 'ensemble-mq[curve]'. The secret key is for whoever runs the socket, and nobody else.
"""),
}  # fmt: skip
"""By name: the line in the list of commands, and what follows the arguments in a command's own help."""
