"""Does the command line do in pipes what its help says, and end as a tool of the shell does?"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from mq.commands.traffic import KINDS
from mq.commands.words import COMMANDS

from .commands import MQ, PATIENCE, done, mq, running

TCP = "tcp://127.0.0.1:*"


@pytest.fixture
def ipc(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/s"


Theirs = Callable[..., "zmq.Socket[bytes]"]


@pytest.fixture
def theirs() -> Iterator[Theirs]:
    """Open sockets of libzmq: ``theirs(zmq.PULL, RCVHWM=1)``."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets: list[zmq.Socket[bytes]] = []

    def opened(kind: int, **options: int) -> zmq.Socket[bytes]:
        socket = context.socket(kind)
        for name, value in {"RCVTIMEO": PATIENCE * 1000, "SNDTIMEO": PATIENCE * 1000, **options}.items():
            socket.setsockopt(getattr(zmq, name), value)
        sockets.append(socket)
        return socket

    yield opened
    for socket in sockets:
        socket.close(linger=0)
    context.term()


# -- one way -----------------------------------------------------------------------------------------------


def test_a_file_goes_through_a_shell_pipe_line_by_line(ipc: str, tmp_path: Path) -> None:
    lines = [f"line {number}\n" for number in range(2000)]
    (tmp_path / "in").write_text("".join(lines))
    script = f"{MQ} pull --bind {ipc} --count 2000 > out & {MQ} push --connect {ipc} < in; wait"
    subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, timeout=PATIENCE, check=True)
    assert (tmp_path / "out").read_text() == "".join(lines)


def test_the_last_line_may_lack_its_end() -> None:
    with running("pull", "--bind", TCP) as pull:
        assert done("push", "--connect", pull.bound(), given=b"one\n\nthree").returncode == 0
        assert [pull.line() for _ in range(3)] == ["one\n", "\n", "three\n"]


def test_a_file_travels_as_one_message(ipc: str) -> None:
    body = bytes(range(256)) * 1000
    with running("pull", "--bind", TCP, "--format", "raw", "--count", "1") as pull:
        assert done("push", "--connect", pull.bound(), "--format", "raw", given=body).returncode == 0
        out, _ = pull.process.communicate(timeout=PATIENCE)
        assert out == body


def test_frames_are_split_and_joined_by_a_separator() -> None:
    with running("pull", "--bind", TCP, "--format", "json", "--count", "2") as pull:
        endpoint = pull.bound()
        done("push", endpoint, "--separator", r"\t", given=b"a\tb\tc\nsingle\n")
        assert [json.loads(pull.line()) for _ in range(2)] == [["a", "b", "c"], "single"]
    with running("pull", "--bind", TCP, "--separator", " + ", "--count", "1") as pull:
        done("push", pull.bound(), "--format", "json", given=b'["a", "", "c"]\n')
        assert pull.line() == "a +  + c\n"


def test_messages_of_the_command_line_repeat_up_to_a_count() -> None:
    with running("pull", "--bind", TCP, "--count", "5") as pull:
        command = ("push", "--connect", pull.bound(), "-m", "tick", "-m", "tock", "--count", "5", "--interval", "0.01")
        assert done(*command).returncode == 0
        assert pull.end()[:2] == (0, "tick\ntock\ntick\ntock\ntick\n")


def test_many_endpoints_at_once(ipc: str) -> None:
    with running("pull", "--bind", TCP, "--bind", ipc, f"@{ipc}-2", "--count", "3") as pull:
        for endpoint in (pull.bound(), ipc, f"{ipc}-2"):
            assert done("push", endpoint, "-m", endpoint).returncode == 0
            assert pull.line() == f"{endpoint}\n"
        assert pull.end()[0] == 0


def test_a_publisher_waits_for_its_first_subscriber() -> None:
    with running("pub", "--bind", TCP) as pub:
        pub.say("weather rain\nsports goal\nweather sun\n")
        with running("sub", "--connect", pub.bound(), "--subscribe", "weather", "--count", "2") as sub:
            assert sub.end()[:2] == (0, "weather rain\nweather sun\n")


def test_a_radio_waits_for_its_first_dish() -> None:
    with running("radio", "--bind", TCP, "--group", "a") as radio:
        radio.say("hello\n")
        with running("dish", "--connect", radio.bound(), "--join", "a", "--count", "1") as dish:
            assert dish.end()[:2] == (0, "a\thello\n")


def test_scatter_and_gather() -> None:
    with running("gather", "--bind", TCP, "--count", "1") as gather:
        assert done("scatter", "--connect", gather.bound(), "-m", "x").returncode == 0
        assert gather.end()[:2] == (0, "x\n")


def test_push_reaches_libzmq_and_pull_hears_it(theirs: Theirs) -> None:
    sink, source = theirs(zmq.PULL), theirs(zmq.PUSH)
    port = sink.bind_to_random_port("tcp://127.0.0.1")
    assert done("push", f"tcp://127.0.0.1:{port}", "-s", "/", given=b"a/b\n").returncode == 0
    assert sink.recv_multipart() == [b"a", b"b"]
    with running("pull", "--bind", TCP, "--format", "hex", "--count", "1") as pull:
        source.connect(pull.bound())
        source.send_multipart([b"\0\xff", b""])
        assert pull.end()[:2] == (0, "00ff -\n")


# -- both ways ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reply"),
    [(["--echo"], "hello\n"), (["--exec", "tr a-z A-Z"], "HELLO\n"), (["--reply", "ok"], "ok\n")],
)
def test_a_request_is_answered(arguments: list[str], reply: str) -> None:
    with running("rep", "--bind", TCP, *arguments) as rep:
        asked = done("req", "--connect", rep.bound(), given=b"hello\n")
        assert (asked.returncode, asked.stdout.decode()) == (0, reply)


def test_requests_are_answered_by_hand() -> None:
    with running("rep", "--bind", TCP) as rep, running("req", "--connect", rep.bound()) as req:
        for number in range(3):
            req.say(f"question {number}\n")
            assert rep.line() == f"question {number}\n"
            rep.say(f"answer {number}\n")
            assert req.line() == f"answer {number}\n"
        req.stdin.close()
        assert req.process.wait(PATIENCE) == 0
        rep.stdin.close()


def test_a_request_to_nobody_times_out() -> None:
    asked = done("req", "--bind", TCP, "-m", "anyone?", "--timeout", "0.2", "--linger", "0")
    assert asked.returncode == 1
    assert b"no reply within 0.2 s" in asked.stderr
    assert b"Traceback" not in asked.stderr


def test_req_asks_libzmq_and_rep_answers_it(theirs: Theirs) -> None:
    rep, req = theirs(zmq.REP), theirs(zmq.REQ)
    port = rep.bind_to_random_port("tcp://127.0.0.1")
    with running("req", f"tcp://127.0.0.1:{port}", "-m", "question") as asking:
        assert rep.recv() == b"question"
        rep.send(b"answer")
        assert asking.end()[:2] == (0, "answer\n")
    with running("rep", "--bind", TCP, "--echo", "--count", "1") as answering:
        req.connect(answering.bound())
        req.send_multipart([b"two", b"frames"])
        assert req.recv_multipart() == [b"two", b"frames"]
        assert answering.end()[0] == 0


@pytest.mark.parametrize("kind", ["pair", "channel"])
def test_two_peers_talk(kind: str) -> None:
    with running(kind, "--bind", TCP) as one, running(kind, "--connect", one.bound()) as two:
        one.say("ping\n")
        assert two.line() == "ping\n"
        two.say("pong\n")
        assert one.line() == "pong\n"
        two.stdin.close()
        assert two.process.wait(PATIENCE) == 0  # nothing comes for a second


def test_a_router_names_its_peers_and_answers_them() -> None:
    with running("router", "--bind", TCP) as router:
        endpoint = router.bound()
        with running("dealer", "--connect", endpoint, "--identity", "ann", "--count", "1") as dealer:
            dealer.say("hello\n")
            assert router.line() == "ann\thello\n"
            router.say("ann\twelcome\n")
            assert dealer.line() == "welcome\n"
        with running("req", "--connect", endpoint, "-m", "question") as req:
            who, body = router.line().split("\t")
            assert (who[:2], who[-1], body) == ("0x", "/", "question\n")
            router.say(f"{who}\tanswer\n")
            assert req.end()[:2] == (0, "answer\n")


def test_a_router_answers_a_request_by_its_whole_envelope() -> None:
    with (
        running("router", "--bind", TCP, "--format", "hex") as router,
        running("req", "--connect", router.bound(), "-m", "question") as req,
    ):
        *envelope, body = router.line().split()
        assert bytes.fromhex(body) == b"question"
        assert envelope[-1] == "-"
        router.say(" ".join([*envelope, b"answer".hex()]) + "\n")
        assert req.end()[:2] == (0, "answer\n")


def test_a_server_names_its_clients_by_number() -> None:
    with running("server", "--bind", TCP) as server, running("client", "--connect", server.bound()) as client:
        client.say("hello\n")
        number, body = server.line().split("\t")
        assert (number.isdigit(), body) == (True, "hello\n")
        server.say(f"{number}\twelcome\n1{number}\tnobody\nnonsense\n")
        assert client.line() == "welcome\n"
        assert "no peer" in server.told("not sent:")
        assert "number of its peer" in server.told("not sent:")
        server.stdin.close()
        client.stdin.close()
        assert server.process.wait(PATIENCE) == 1


def test_subscriptions_are_messages_of_xpub_and_xsub() -> None:
    with (
        running("xpub", "--bind", TCP, "--format", "escaped", "--wait", "0") as xpub,
        running("xsub", "--connect", xpub.bound(), "--format", "escaped", "--subscribe", "a") as xsub,
    ):
        assert xpub.line() == "\\x01a\n"
        xsub.say("\\x01b\n\\x00a\n")
        assert [xpub.line(), xpub.line()] == ["\\x01b\n", "\\0a\n"]
        xpub.say("b news\n")
        assert xsub.line() == "b news\n"


def test_a_stream_speaks_with_what_is_no_zeromq() -> None:
    with running("stream", "--bind", TCP, "--format", "escaped", "--separator", " ") as stream:
        address = stream.bound().removeprefix("tcp://")
        client = [sys.executable, "-c", (
            "import socket, sys; host, port = sys.argv[1].split(':'); s = socket.create_connection((host, int(port)));"
            "s.sendall(b'GET\\r\\n'); print(s.recv(100).decode())"), address]  # fmt: skip
        with subprocess.Popen(client, stdout=subprocess.PIPE) as process:
            who = stream.line().split(" ")[0]
            assert stream.line() == f"{who} GET\\r\\n\n"
            stream.say(f"{who} 200\n")
            out, _ = process.communicate(timeout=PATIENCE)
            assert out == b"200\n"


# -- proxy, monitor, ping, bench ---------------------------------------------------------------------------


def test_a_proxy_joins_captures_and_obeys(ipc: str) -> None:
    arguments = ("pull", f"@{ipc}-in", "push", f"@{ipc}-out", "--capture", f"@{ipc}-tap", "--capture-type", "push",
                 "--control", f"@{ipc}-control")  # fmt: skip
    with running("proxy", *arguments) as proxy, running("pull", f"{ipc}-out") as sink, \
            running("pull", f"{ipc}-tap") as tap:  # fmt: skip
        assert done("req", f"{ipc}-control", "-m", "PAUSE").stdout == b"\n"
        with running("push", f"{ipc}-in", "-m", "work") as push:
            assert push.end()[0] == 0
        assert done("req", f"{ipc}-control", "-m", "RESUME").stdout == b"\n"
        assert sink.line() == "work\n"
        assert tap.process.poll() is None
        statistics = done("req", f"{ipc}-control", "-m", "STATISTICS", "--output-format", "hex").stdout.split()
        numbers = [int.from_bytes(bytes.fromhex(each.decode()), sys.byteorder) for each in statistics]
        assert numbers == [1, 4, 0, 0, 0, 0, 1, 4]
        assert done("req", f"{ipc}-control", "-m", "TERMINATE").returncode == 0
        assert proxy.process.wait(PATIENCE) == 0


def test_a_proxy_gives_each_side_the_options_that_it_has(ipc: str) -> None:
    arguments = ("proxy", "xsub", f"@{ipc}-in", "xpub", f"@{ipc}-out", "-o", "xpub_nodrop=yes", "--hwm", "2")
    with running(*arguments), running("sub", f"{ipc}-out", "--count", "500") as sub:
        lines = "".join(f"{number}\n" for number in range(500))
        assert done("pub", f"{ipc}-in", "-o", "xpub_nodrop=yes", "--hwm", "2", given=lines.encode()).returncode == 0
        assert sub.end()[:2] == (0, lines)
    refused = done(*arguments[:5], "-o", "router_mandatory=yes")
    assert refused.returncode == 2
    assert b"neither a XSub nor a XPub has the option 'router_mandatory'" in refused.stderr


def test_a_proxy_of_types_that_do_not_fit_says_so(ipc: str) -> None:
    failed = done("proxy", "pull", f"@{ipc}-1", "pull", f"@{ipc}-2")
    assert failed.returncode == 2
    assert b"a proxy cannot join a Pull and a Pull" in failed.stderr
    assert failed.stderr.count(b"\n") == 1


@pytest.mark.parametrize("form", ["lines", "json"])
def test_events_are_shown_as_they_happen(form: str) -> None:
    with running("monitor", "pull", "--bind", TCP, "--format", form, "--count", "4") as monitor:
        endpoint = monitor.bound()
        assert done("push", endpoint, "-m", "x").returncode == 0
        status, out, _ = monitor.end()
        events = [json.loads(line)["event"] if form == "json" else line.split()[0] for line in out.splitlines()]
        assert (status, events) == (0, ["Listening", "Accepted", "Handshaken", "Disconnected"])
        assert endpoint in out


@pytest.mark.parametrize("kind", ["req", "rep", "peer"])
def test_events_of_all_types_are_shown(kind: str, ipc: str) -> None:
    assert done("monitor", kind, "--bind", ipc, "--count", "1").stdout == f"Listening endpoint={ipc}\n".encode()


@pytest.mark.parametrize("kind", ["rep", "pull", "sub", "router", "server"])
def test_ping_measures_round_trips_to_any_type(kind: str) -> None:
    arguments = ["--echo"] if kind == "rep" else ["--no-input"] if kind in ("router", "server") else []
    with running(kind, "--bind", TCP, *arguments) as peer:
        pinged = done("ping", peer.bound(), "--count", "3", "--interval", "0")
        assert pinged.returncode == 0
        assert f": {kind.upper()}, ZMTP 3.1, NULL\n" in pinged.stdout.decode()
        assert b"3 sent, 3 answered, 0 % lost\nmin " in pinged.stdout


def test_ping_measures_requests() -> None:
    with running("rep", "--bind", TCP, "--echo") as rep:
        pinged = done("ping", rep.bound(), "--req", "--count", "3", "--interval", "0", "--size", "100")
        assert (pinged.returncode, pinged.stdout.count(b" ms\n")) == (0, 4)


def test_ping_pings_libzmq(theirs: Theirs) -> None:
    for kind in (zmq.ROUTER, zmq.PUB, zmq.PULL):
        port = theirs(kind).bind_to_random_port("tcp://127.0.0.1")
        assert b"2 answered" in done("ping", f"tcp://127.0.0.1:{port}", "--count", "2", "--interval", "0").stdout


def test_ping_takes_no_messages_that_are_for_others(theirs: Theirs) -> None:
    push = theirs(zmq.PUSH)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    pinged = done("ping", f"tcp://127.0.0.1:{port}")
    assert pinged.returncode == 1
    assert b"a peer of type PUSH: it sends to every new connection" in pinged.stderr


def test_ping_to_nobody_fails(ipc: str) -> None:
    pinged = done("ping", ipc, "--timeout", "0.2")
    assert pinged.returncode == 1
    assert b"was not reached within 0.2 s" in pinged.stderr


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_bench_measures_both(transport: str) -> None:
    measured = done("bench", "--count", "100", "--transport", transport)
    assert measured.returncode == 0
    assert measured.stdout.startswith(b"throughput: 100 messages of 16 bytes over " + transport.encode())
    assert b"\nlatency: 100 round trips" in measured.stdout


# -- how it ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("arguments", [
    ["pull"], ["push"], ["rep"], ["pair"], ["req", "-m", "x"], ["proxy"], ["monitor", "sub"]
], ids=" ".join)  # fmt: skip
def test_a_signal_ends_it_without_a_word(arguments: list[str], number: int, status: int, ipc: str) -> None:
    where = ["pull", f"@{TCP}", "push", f"@{ipc}"] if arguments == ["proxy"] else ["--bind", TCP]
    with running(*arguments, *where) as command:
        command.bound()
        command.process.send_signal(number)
        ended, _, complaints = command.end()
        assert (ended, complaints) == (status, "")


def test_ctrl_c_in_a_terminal_ends_it() -> None:
    ours, terminal = pty.openpty()
    with subprocess.Popen(
        mq("pair", "--bind", TCP), stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"bound ")
        os.write(ours, b"\x03")
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == b""
    os.close(ours)
    os.close(terminal)


def test_a_reader_who_has_had_enough_ends_it(ipc: str) -> None:
    with running("pull", "--bind", TCP) as pull:
        endpoint = pull.bound()
        with running("push", "--connect", endpoint) as push:
            push.say("one\n")
            assert pull.line() == "one\n"
            pull.stdout.close()
            push.say("two\n")
            assert pull.process.wait(PATIENCE) == 0
            assert pull.stderr.read() == b""


def test_it_ends_as_soon_as_nobody_reads_it() -> None:
    with running("pull", "--bind", TCP) as pull:
        pull.bound()
        pull.stdout.close()
        assert pull.process.wait(PATIENCE) == 0
        assert pull.stderr.read() == b""


def test_head_takes_one_line_and_all_end(tmp_path: Path, ipc: str) -> None:
    script = f"seq 100000 | {MQ} push --bind {ipc} --linger 0 & {MQ} pull --connect {ipc} | head -1; kill $!; wait"
    ended = subprocess.run(["/bin/bash", "-c", script], capture_output=True, timeout=PATIENCE, check=False)
    assert ended.stdout == b"1\n"
    assert b"Traceback" not in ended.stderr


def test_the_end_of_input_sends_what_was_read_first(theirs: Theirs) -> None:
    sink = theirs(zmq.PULL, RCVHWM=1)
    port = sink.bind_to_random_port("tcp://127.0.0.1")
    lines = b"".join(b"%d %s\n" % (number, b"x" * 1000) for number in range(5000))
    with running("push", f"tcp://127.0.0.1:{port}") as push:

        def write() -> None:
            push.stdin.write(lines)
            push.stdin.close()

        writing = threading.Thread(target=write)  # all of it may be more than there is room for on the way
        writing.start()
        assert b"".join(sink.recv() + b"\n" for _ in range(5000)) == lines
        writing.join(PATIENCE)
        assert push.process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("radio", b"begins with its group and a tab; or give --group"),
        ("router", b"begins with the routing id of its peer and a tab"),
    ],
)
def test_a_message_without_its_address_is_refused_with_the_format(ipc: str, command: str, advice: bytes) -> None:
    failed = done(command, "--bind", ipc, "--wait", "0", "-m", "x")
    assert failed.returncode != 0
    assert advice in failed.stderr
    assert b"Traceback" not in failed.stderr


def test_what_was_sent_to_nobody_is_no_success(ipc: str) -> None:
    failed = done("push", "--connect", ipc, "--linger", "0.1", "-m", "x")
    assert failed.returncode == 1
    assert b"1 message was dropped" in failed.stderr
    assert b"Traceback" not in failed.stderr


@pytest.mark.parametrize("linger", ["0", "0.1"])
def test_what_was_dropped_is_said_once_and_names_the_flag_that_would_have_helped(ipc: str, linger: str) -> None:
    failed = done("push", "--connect", ipc, "--connect", f"{ipc}-2", "--linger", linger, given=b"1\n2\n3\n")
    assert failed.returncode == 1
    (line,) = failed.stderr.decode().splitlines()
    assert line.startswith("python -m mq push: 3 messages were dropped: nothing was taken for")
    assert "--linger sets how long to wait" in line
    assert "linger=" not in line
    assert f"for {ipc}, which was never reached (No such file or directory)" in line
    assert f"for {ipc}-2, which was never reached (No such file or directory)" in line


def test_what_is_dropped_because_closing_is_interrupted_is_said_once(ipc: str) -> None:
    with running("push", "--connect", ipc, "--linger", "inf", "-m", "x", "-v") as push:
        assert push.told("ConnectDelayed")
        push.process.send_signal(signal.SIGINT)
        status, _, err = push.end()
    assert status == 130
    told = [line for line in err.splitlines() if "1 message was dropped" in line or "unsent message" in line]
    assert len(told) == 1, err


def test_what_a_proxy_drops_when_it_ends_is_said_once(ipc: str, tmp_path: Path, theirs: Theirs) -> None:
    nobody = f"ipc://{tmp_path}/nobody"
    with running("proxy", "pull", f"@{ipc}", "push", nobody, "--control", f"@{ipc}-c", "--linger", "0.1") as proxy:
        push = theirs(zmq.PUSH)
        push.connect(ipc)
        push.send(b"x")
        ask = theirs(zmq.REQ)
        ask.connect(f"{ipc}-c")
        passed = b"\0" * 8
        while passed == b"\0" * 8:
            ask.send(b"STATISTICS")
            passed = ask.recv_multipart()[6]
        ask.send(b"TERMINATE")
        ask.recv()
        status, _, err = proxy.end()
    assert status == 0
    assert err.count("dropped") == 1
    assert "--linger sets how long to wait" in err
    assert f"1 for {nobody}, which was never reached" in err


def test_a_closed_standard_input_is_an_empty_one(ipc: str) -> None:
    command = f"exec {MQ} push --bind {ipc} <&-"
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


# -- how it is told ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pull"], "give an endpoint"),
        (["pull", "localhost:5555"], "has no scheme"),
        (["pull", "--bind", "tcp://localhost"], "has the address 'localhost'"),
        (["pull", "--bind", "tcp://203.0.113.1:5555"], "203.0.113.1"),
        (["pull", "http://localhost"], "unknown scheme 'http'"),
        (["pull", "@ipc://*", "--option", "send_hwm"], "NAME=VALUE"),
        (["pull", "@ipc://*", "--option", "sendhwm=1"], "there is no option 'sendhwm': did you mean send_hwm"),
        (["pull", "@ipc://*", "--option", "send_hwm=many"], "send_hwm is a whole number; got 'many'"),
        (["pull", "@ipc://*", "--option", "send_hwm=-1"], "send_hwm is a whole number of at least 0; got -1"),
        (["pull", "@ipc://*", "--option", "xpub_nodrop=true"], "no option 'xpub_nodrop': it is for"),
        (["dish", "@ipc://*"], "--join GROUP"),
        (["dish", "@ipc://*", "--join", "g" * 256], "at most 255 bytes"),
        (["push", "@ipc://*", "-s", ""], "--separator is empty"),
        (["push", "@ipc://*", "-f", "json", "-m", "x"], "--message: not JSON"),
        (["rep", "@ipc://*", "-f", "hex", "--reply", "x"], "--reply: 'x' is not hexadecimal"),
        (["ping", "@ipc://*"], "ping connects"),
        (["proxy", "req", "@ipc://*", "dealer", "@ipc://*"], "one of"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_cannot_be_is_said_in_one_line(arguments: list[str], says: str) -> None:
    failed = done(*arguments)
    assert failed.returncode == 2
    assert says in failed.stderr.decode() or "invalid choice" in failed.stderr.decode()
    assert b"Traceback" not in failed.stderr
    last = failed.stderr.decode().rstrip("\n").split("\n")[-1]
    assert last.startswith(f"python -m mq {arguments[0]}: ")


@pytest.mark.parametrize(
    ("given", "says"), [(b"1\n", "standard input, line 1: a frame is a JSON string"),
                        (b'"fine"\nnot\n', "standard input, line 2: not JSON")]
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named(given: bytes, says: str) -> None:
    with running("pull", "--bind", TCP) as pull:
        failed = done("push", "--connect", pull.bound(), "--format", "json", given=given)
    assert failed.returncode == 1
    assert says in failed.stderr.decode()


def test_options_of_every_kind_are_taken() -> None:
    options = {
        "linger": "0", "send_hwm": "5", "immediate": "yes", "max_message_size": "none",
        "metadata": "X-Unit:7, X-Site:b", "routing_id": r"a\x00b", "heartbeat_interval": "inf",
        "reconnect_stop": "refused,disconnect",
        "tcp_accept_filter": "127.0.0.0/8", "ipc_filter_uid": f"{os.getuid()}",
    }  # fmt: skip
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    with running("router", "--bind", TCP, "--count", "1", "--no-input") as router:
        dealer = done("dealer", "-c", router.bound(), "--hwm", "3", *given, "-m", "hello")
        assert (dealer.returncode, dealer.stderr) == (0, b"")
        assert router.line() == "0x610062\thello\n"


def test_verbose_tells_what_happens() -> None:
    with running("pull", "--bind", TCP, "--verbose", "--count", "1") as pull:
        endpoint = pull.bound()
        assert done("push", endpoint, "-m", "x").returncode == 0
        status, out, told = pull.end()
        assert (status, out) == (0, "x\n")
        assert [line.split()[0] for line in told.splitlines()][:3] == ["Listening", "Accepted", "Handshaken"]


def test_there_is_help_with_an_example_for_every_command() -> None:
    everything = done("--help").stdout.decode()
    assert set(COMMANDS) == set(KINDS) | {"req", "rep", "proxy", "monitor", "ping", "bench", "keygen"}
    for command in COMMANDS:
        assert f"\n    {command} " in everything
    script = (
        "import sys, contextlib; from mq.cli import main\nfor each in sys.argv[1:]:\n"
        "    with contextlib.suppress(SystemExit): main([each, '--help'])"
    )
    shown = subprocess.run([sys.executable, "-c", script, *COMMANDS], capture_output=True, check=True).stdout.decode()
    for command in COMMANDS:
        assert f"python -m mq {command} " in shown
    assert "Traceback" not in shown
