"""What does the help say? One line for each command, and examples."""

from __future__ import annotations

ABOUT = (
    "ZeroMQ sockets in a shell: sends standard input, and writes received messages to standard output.",
    """\
a first look, in two terminals:
  python -m mq pull --bind 'tcp://*:5555'
  echo hello | python -m mq push --connect tcp://localhost:5555

endpoints: tcp://HOST:PORT, ipc://PATH. --bind listens, --connect connects. An endpoint without an option connects, or
binds if @ precedes it: @tcp://*:5555. A socket may have many endpoints, and either side may bind. The command writes
the resolved endpoint of a wildcard port to standard error: bound tcp://127.0.0.1:49152.

exit status: 0 success; 1 messages were dropped, or another problem while running; 2 the command line, an option or an
endpoint is wrong; 130 Ctrl-C; 143 SIGTERM.

python -m mq COMMAND --help shows examples of each command.
""",
)

_TWO_WAYS = """
The command sends and receives at the same time. After the end of input, it ends when no message has arrived for one
second. --stay and --count change this.
"""

COMMANDS: dict[str, tuple[str, str]] = {
    "push": ("send each line to one of the connected PULLs, in turn", """\
examples:
  seq 100 | python -m mq push --bind 'tcp://*:5555'
  python -m mq push -c tcp://localhost:5555 -m 'a task' --count 1000
  python -m mq push -c tcp://a:5555 -c tcp://b:5555 --wait 2 < tasks.txt
  python -m mq push -c ipc:///tmp/files --format raw < photo.jpg
"""),
    "pull": ("write each message that PUSHes send on a line", """\
examples:
  python -m mq pull --bind 'tcp://*:5555'
  python -m mq pull -c tcp://localhost:5555 --count 10 | sort
  python -m mq pull -b ipc:///tmp/files --format raw --count 1 > photo.jpg
"""),
    "pub": ("publish each line to the peers that subscribe to a prefix of it", """\
The command waits for one subscriber first, because earlier messages would be dropped. --wait 0 does not wait. If the
queue of a slow subscriber is full, messages for it are dropped, and the exit status is 1. With -o xpub_nodrop=true, the
command waits for the subscriber instead.

examples:
  python -m mq pub --bind 'tcp://*:5556' < news.txt
  python -m mq pub -b 'tcp://*:5556' -m 'weather rain' --count 10 --interval 1
"""),
    "sub": ("write published messages that begin with one of the topics", """\
examples:
  python -m mq sub --connect tcp://localhost:5556
  python -m mq sub -c tcp://localhost:5556 --subscribe weather --subscribe sports --count 3
"""),
    "req": ("send each line as a request, and write the reply", """\
examples:
  echo hello | python -m mq req --connect tcp://localhost:5557
  python -m mq req -c tcp://localhost:5557 -m now --timeout 2
"""),
    "rep": ("answer requests with an echo, a shell command, a text, or the next input line", """\
Without --echo, --exec and --reply, the command writes each request and takes the next input line as the reply.

examples:
  python -m mq rep --bind 'tcp://*:5557' --echo
  python -m mq rep --bind 'tcp://*:5557' --exec 'tr a-z A-Z'
  python -m mq rep --bind 'tcp://*:5557' --reply ok --count 1
"""),
    "dealer": ("send each line to one of the peers, in turn, and write received messages", """\
A REP expects an empty frame before the request: use -s / and the line "/request".
""" + _TWO_WAYS + """
examples:
  echo hello | python -m mq dealer --connect tcp://localhost:5558 --identity me
  echo /hello | python -m mq dealer -c tcp://localhost:5557 -s / --count 1
"""),
    "router": ("write received messages after the sender's routing id, and send to the peer that a line names", """\
A line is the routing id of the peer, a tab and the message. A routing id that is not text has the form 0x00e3c1a45d.
For a request from a REQ, the text before the tab ends in a slash. To reply, repeat everything before the tab.
""" + _TWO_WAYS + """
examples:
  python -m mq router --bind 'tcp://*:5558'
  printf 'me\\thello\\n' | python -m mq router -b 'tcp://*:5558' -o router_mandatory=true --wait 1
"""),
    "pair": ("exchange messages with one peer, each on a line", _TWO_WAYS + """
examples:
  python -m mq pair --bind 'tcp://*:5559'
  python -m mq pair --connect tcp://localhost:5559
"""),
    "xpub": ("publish each line, and write received subscriptions", """\
A subscription is byte 1 and the topic. Its end is byte 0 and the topic. --format escaped makes both bytes visible.
""" + _TWO_WAYS + """
examples:
  python -m mq xpub --bind 'tcp://*:5556' --format escaped --no-input
"""),
    "xsub": ("write published messages, and send each line as a subscription", """\
With --format escaped, \\x01topic subscribes to a topic and \\x00topic unsubscribes.
""" + _TWO_WAYS + """
examples:
  python -m mq xsub --connect tcp://localhost:5556 --subscribe weather --no-input
"""),
    "client": ("send each line to one of the servers, in turn, and write received messages", _TWO_WAYS + """
examples:
  echo hello | python -m mq client --connect tcp://localhost:5560
"""),
    "server": ("write received messages after the number of the client, and send to the client that a line names", """\
A line is the number of the client, a tab and the message.
""" + _TWO_WAYS + """
examples:
  python -m mq server --bind 'tcp://*:5560'
"""),
    "radio": ("send each line to the peers that have joined its group", """\
A line is the group, a tab and the message. With --group, a line is only the message. The command waits for one dish
that has joined a group, because earlier messages would be dropped. --wait 0 does not wait.

examples:
  python -m mq radio --bind 'tcp://*:5561' --group weather < news.txt
"""),
    "dish": ("write messages of the joined groups, each after its group and a tab", """\
examples:
  python -m mq dish --connect tcp://localhost:5561 --join weather
"""),
    "scatter": ("send each line to one of the connected GATHERs, in turn", """\
examples:
  seq 100 | python -m mq scatter --bind 'tcp://*:5562'
"""),
    "gather": ("write each message that SCATTERs send on a line", """\
examples:
  python -m mq gather --connect tcp://localhost:5562
"""),
    "channel": ("exchange messages of one frame with one peer", _TWO_WAYS + """
examples:
  python -m mq channel --bind 'tcp://*:5563'
"""),
    "stream": ("exchange bytes with peers that do not speak ZMTP, each after the routing id of the connection", """\
A received empty message announces that a connection has started or ended. Sending an empty message closes the
connection. --format escaped suits most protocols.
""" + _TWO_WAYS + """
examples:
  python -m mq stream --bind 'tcp://*:8080' --format escaped
"""),
    "proxy": ("pass messages on between two sockets", """\
The usual pairs are PULL and PUSH, XSUB and XPUB, ROUTER and DEALER. An endpoint connects, or binds if @ precedes it.

examples:
  python -m mq proxy router '@tcp://*:5557' dealer '@tcp://*:5558'
  python -m mq proxy xsub '@tcp://*:5559' xpub '@tcp://*:5556' --capture '@ipc:///tmp/tap'
  python -m mq proxy pull '@tcp://*:5555' push tcp://a:5555,tcp://b:5555 --control '@tcp://127.0.0.1:5564'
  python -m mq req -c tcp://127.0.0.1:5564 -m STATISTICS --output-format hex
"""),
    "monitor": ("write the events of a socket", """\
The socket is an ordinary peer: it gets its share of the messages, and the command does not read them.

examples:
  python -m mq monitor sub --connect tcp://localhost:5556
  python -m mq monitor pull --bind 'tcp://*:5555' --format json
"""),
    "ping": ("measure round trips to a peer", """\
The command sends PING commands, which every ZMTP 3.1 peer answers. With --req, it sends requests to a rep --echo.

examples:
  python -m mq ping tcp://localhost:5555
  python -m mq ping tcp://localhost:5557 --req --count 100 --interval 0
"""),
    "bench": ("measure messages and round trips between two processes on this machine", """\
examples:
  python -m mq bench
  python -m mq bench throughput --size 1000 --transport ipc
"""),
    "keygen": ("generate a key pair for CURVE, in Z85", """\
example:
  python -m mq keygen

Needs PyNaCl: pip install 'ensemble-mq[curve]'. Keep the secret key private.
"""),
}  # fmt: skip
"""By command: its line in the list of commands, and the text after the arguments in its own help."""
