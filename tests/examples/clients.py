#!/usr/bin/env python3
"""What asks the example servers, on kernel sockets.

usage: clients.py echo|backpressure|limit|control|relay|service|chat|http ...

Each command is a check: exit code 0 when all was as it should be, else the reason on stderr.
"""
import hashlib
import os
import random
import select
import socket
import struct
import sys
import threading

LONG_S = 10      # what has not happened by then never will
MOMENT_S = 0.1   # what should not happen has had time to


def connect(host, port):
    return socket.create_connection((host, int(port)), timeout=LONG_S)


def read_to_end(sock):
    pieces = []
    while piece := sock.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def ask(host, port, data):
    """Sends 'data', ends its side, and returns what comes until the end; both at once."""
    with connect(host, port) as sock:
        def send():
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        got = read_to_end(sock)
        sender.join()
    return got


def same(got, wanted, what):
    if hashlib.sha256(got).digest() != hashlib.sha256(wanted).digest():
        sys.exit(f"{what}: {len(wanted)} bytes became {len(got)}")


def in_threads(count, work):
    """work(0), work(1), ...: all at once; the first failure is ours."""
    failures = []

    def run(i):
        try:
            work(i)
        except BaseException as why:  # pylint: disable=broad-except
            failures.append(f"{i}: {why!r}")

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(failures[0])


def echo(host, port, count, size):
    """'count' clients at a time, each with 'size' bytes of its own and a half close."""
    def one(i):
        data = random.Random(i).randbytes(int(size))
        same(ask(host, port, data), data, f"client {i}")

    in_threads(int(count), one)


def is_ready(sock, for_write=False, seconds=MOMENT_S):
    wait = [[], [sock], []] if for_write else [[sock], [], []]
    return any(select.select(*wait, seconds))


def fill(sock, data):
    """Sends until nobody takes more; how many bytes that were."""
    sent = 0
    sock.setblocking(False)
    while sent < len(data) and is_ready(sock, True, 0.3):
        sent += sock.send(data[sent:sent + 65536])
    sock.settimeout(LONG_S)
    return sent


def backpressure(host, port):
    """Who does not read its answers cannot go on sending, and holds up nobody else."""
    data = random.Random(7).randbytes(32 << 20)
    with connect(host, port) as sock:
        sent = fill(sock, data)
        if sent == len(data):
            sys.exit(f"{sent} bytes were taken of a client that does not read")
        echo(host, port, 3, 10000)
        end = threading.Thread(target=sock.shutdown, args=(socket.SHUT_WR,))
        end.start()
        same(read_to_end(sock), data[:sent], "after the stop")
        end.join()


def limit(host, port):
    """--max 2: a third client waits until one of the first two goes, also when reset."""
    socks = [connect(host, port) for _ in range(2)]
    for sock in socks:
        sock.sendall(b"a")
        assert sock.recv(10) == b"a"
    for how in ("close", "reset"):
        third = connect(host, port)
        third.sendall(b"b")
        assert not is_ready(third), "the limit does not hold"
        if how == "reset":
            socks[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socks.pop(0).close()
        assert third.recv(10) == b"b", how
        socks.append(third)


def command(path, text):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)  # waits while the backlog is full
        sock.settimeout(LONG_S)
        sock.sendall(text.encode())
        sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock).decode()


def control(path, host, port):
    """The operator's socket answers while a connection is open, stuck, and gone."""
    data = random.Random(1).randbytes(32 << 20)
    with connect(host, port) as sock:
        fill(sock, data)
        answer = command(path, "stats\nnonsense\nstats\n").splitlines()
        assert len(answer) == 3 and answer[1].startswith("unknown"), answer
        assert answer[0].startswith("open 1, "), answer
    in_threads(5, lambda i: command(path, "stats\n"))
    assert "unknown" in command(path, "x" * 500 + "\n")
    try:
        assert command(path, "x" * 5000) == "", "a command without end"
    except (ConnectionResetError, BrokenPipeError):
        pass


# ---- uv-relay ----

def serve_one(sock):
    """The first byte says what the service does: e echo, f end first, r reset."""
    with sock:
        what = sock.recv(1)
        if what == b"e":
            while piece := sock.recv(1 << 16):
                sock.sendall(piece)
        elif what == b"f":
            sock.sendall(b"bye")
            sock.shutdown(socket.SHUT_WR)
            got = read_to_end(sock)
            with open(os.environ["WORK"] + "/tail", "wb") as out:
                out.write(hashlib.sha256(got).hexdigest().encode())
            os.rename(os.environ["WORK"] + "/tail", os.environ["WORK"] + "/tail.done")
        elif what == b"r":
            sock.recv(1)  # closing with bytes unread resets


def service(path):
    """The service behind the relay, until it is killed."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(100)
    print("listening on", path, flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve_one, args=(sock,), daemon=True).start()


def relay(host, port):
    def one(i):
        data = random.Random(i).randbytes(300000)
        same(ask(host, port, b"e" + data), data, f"client {i}")

    in_threads(20, one)
    data = random.Random(99).randbytes(8 << 20)
    same(ask(host, port, b"e" + data), data, "8 MB")
    # Neither reads: both directions fill up, and empty again.
    data = b"e" + random.Random(5).randbytes(32 << 20)
    with connect(host, port) as sock:
        sent = fill(sock, data)
        assert sent < len(data), "no back-pressure"
        one(1)
        sock.shutdown(socket.SHUT_WR)
        same(read_to_end(sock), data[1:sent], "after the stop")


def relay_ends(host, port, work):
    """The service ends first and reads on; the client hears the end, then sends the rest."""
    data = random.Random(3).randbytes(1 << 20)
    with connect(host, port) as sock:
        sock.sendall(b"f")
        assert read_to_end(sock) == b"bye"
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    for _ in range(int(LONG_S / MOMENT_S)):
        if os.path.exists(work + "/tail.done"):
            break
        select.select([], [], [], MOMENT_S / 10)
    with open(work + "/tail.done", "rb") as tail:
        assert tail.read().decode() == hashlib.sha256(data).hexdigest(), "the rest was lost"
    is_reset(host, port, "r" + "x" * 1000)


def is_reset(host, port, data):
    """What fails behind the relay is a reset in front of it, perhaps before connect comes back."""
    try:
        with connect(host, port) as sock:
            sock.sendall(data.encode())
            got = sock.recv(10)
    except (ConnectionResetError, BrokenPipeError):
        return
    sys.exit(f"no reset but {got}")


# ---- chat ----

class Client:
    """One in the room; what it was told, line by line."""

    def __init__(self, host, port, rcvbuf=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(LONG_S)
        self.sock.connect((host, int(port)))
        self.file = self.sock.makefile("rb")
        line = self.line()  # its own coming
        assert line.startswith(b"* ") and line.endswith(b" comes\n"), line
        self.name = line.split()[1].decode()

    def line(self):
        return self.file.readline()

    def say(self, text):
        self.sock.sendall(text.encode() + b"\n")

    def hears(self, text):
        line = self.line().decode()
        if line != text + "\n":
            sys.exit(f"{self.name} heard {line!r}, not {text!r}")

    def close(self):
        self.file.close()
        self.sock.close()


def chat(host, port):
    """Everybody hears everything, in one order; who leaves is missed."""
    room = []
    for _ in range(5):
        new = Client(host, port)
        for other in room:
            other.hears(f"* {new.name} comes")
        room.append(new)
    for i in range(50):
        who = room[i % 5]
        who.say(f"line {i}")
        for other in room:
            other.hears(f"{who.name}: line {i}")
    # All at once: each hears the same.
    for who in room:
        who.sock.sendall(b"".join(b"%d\n" % i for i in range(100)))
    heard = [[who.line() for _ in range(500)] for who in room]
    assert all(one == heard[0] for one in heard), "not everybody heard the same"
    # A line in pieces, and two in one.
    room[0].sock.sendall(b"he")
    assert not is_ready(room[1].sock)
    room[0].sock.sendall(b"llo\nworld\n")
    for other in room:
        other.hears(f"{room[0].name}: hello")
        other.hears(f"{room[0].name}: world")
    gone = room.pop()
    gone.close()
    for other in room:
        other.hears(f"* {gone.name} leaves")
    talker = room.pop()
    talker.sock.sendall(b"x" * 600)
    talker.hears("* you have to leave: its line is too long")
    assert talker.line() == b"", "no end"
    for other in room:
        other.hears(f"* {talker.name} has to leave: its line is too long")
        other.close()
    talker.close()


def slow(host, port):
    """Who does not read is told to leave, in the end; the others miss nothing."""
    idle = Client(host, port, rcvbuf=4096)
    talker = Client(host, port)
    other = Client(host, port)
    talker.hears(f"* {other.name} comes")
    text = "x" * 490
    verdict = f"* {idle.name} has to leave: it reads too slowly\n".encode()
    said = 0
    is_told = False
    while not is_told:
        assert said < 100000, "nobody had to leave"
        talker.sock.sendall(b"".join(f"{text} {i}\n".encode() for i in range(said, said + 50)))
        for i in range(said, said + 50):
            for who in (talker, other):
                line = who.line()
                if line == verdict:
                    is_told = True
                    line = who.line()
                assert line == f"{talker.name}: {text} {i}\n".encode(), (who.name, line)
        said += 50
    idle.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    lines = list(idle.file)
    assert lines[-1] == b"* you have to leave: it reads too slowly\n", lines[-1]
    wanted = [f"* {who.name} comes\n".encode() for who in (talker, other)]
    wanted += [f"{talker.name}: {text} {i}\n".encode() for i in range(len(lines) - 3)]
    assert lines[:-1] == wanted, "lines were lost before the end"
    talker.say("still here")
    for who in (talker, other):
        who.hears(f"{talker.name}: still here")
        who.close()
    idle.close()


def chat_full(host4, host6, port):
    """64 are in; the next two, who come at once by two listeners, have to wait for their turns."""
    room = [Client((host4, host6)[i % 2], port) for i in range(64)]
    new = [connect(host, port) for host in (host4, host6)]
    for left in (2, 1):
        ready = select.select(new, [], [], MOMENT_S)[0]
        assert not ready, "there is no limit"
        room.pop(0).close()
        ready = select.select(new, [], [], LONG_S)[0]
        assert len(ready) == 1, f"{len(ready)} of {left} came in"
        new.remove(ready[0])
        room.append(ready[0])
    for who in room:
        who.close()


def chat_ends(host, port, pid):
    """A stop is told, and is an end of stream."""
    room = [Client(host, port) for _ in range(3)]
    os.kill(int(pid), 15)
    for who in room:
        lines = who.file.readlines()
        assert lines[-1] == b"* the server stops\n", lines


# ---- http-pool ----

REQUEST = b"GET /page.txt HTTP/1.1\r\nHost: a\r\n\r\n"


def http_answer(sock, wanted):
    file = sock.makefile("rb")
    head = []
    while (line := file.readline()) not in (b"\r\n", b""):
        head.append(line)
    assert head and head[0] == b"HTTP/1.1 200 OK\r\n", head
    assert file.read(len(wanted)) == wanted, "body"


def http(host, port, path):
    """More silent and slow clients than workers, and all the others are served."""
    with open(path, "rb") as page:
        wanted = page.read()
    silent = [connect(host, port) for _ in range(30)]
    half = [connect(host, port) for _ in range(30)]
    for sock in half:
        sock.sendall(REQUEST[:20])
    for _ in range(3):
        for sock in silent[:10]:
            sock.sendall(REQUEST)
            http_answer(sock, wanted)
    for sock in half:
        sock.sendall(REQUEST[20:])
    for sock in half:
        http_answer(sock, wanted)
    # Pipelined.
    silent[0].sendall(REQUEST * 20)
    got = silent[0].makefile("rb")
    for _ in range(20):
        while got.readline() != b"\r\n":
            pass
        assert got.read(len(wanted)) == wanted

    def one(_):
        with connect(host, port) as sock:
            for _ in range(20):
                sock.sendall(REQUEST)
                http_answer(sock, wanted)

    in_threads(40, one)
    for sock in silent + half:
        sock.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
