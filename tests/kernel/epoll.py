"""epoll.py ADDRESS - requests to epoll-httpd that come in pieces, in rows, malformed, or unread."""
import socket
import sys
import threading

GOOD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PAGE = bytes(i % 250 for i in range(1000))


def connect():
    """A connection."""
    return socket.create_connection((sys.argv[1], 80), 10)


def read_answer(stream):
    """Status and body of one answer to a GET."""
    status = int(stream.readline().split()[1])
    fields = dict(line.split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
    return status, stream.read(int(fields[b"Content-Length"]))


def ask(*pieces):
    """Sends pieces, each with a packet of its own, and the end; the status of each answer."""
    with connect() as sock, sock.makefile("rb") as stream:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)
        found = []
        while stream.peek(1):
            status, body = read_answer(stream)
            if status == 200 and body != PAGE:
                raise AssertionError(f"another page: {len(body)} bytes")
            found.append(status)
        return found


def expect(what, found, wanted):
    """One check."""
    if found != wanted:
        raise AssertionError(f"{what}: {found[:10]} instead of {wanted[:10]}")


def rows():
    """More answers than the socket holds, read late: the server waits for room."""
    count = 10000
    with connect() as sock, sock.makefile("rb") as stream:
        writer = threading.Thread(target=lambda: sock.sendall(GOOD * count))
        writer.start()
        found = [read_answer(stream)[0] for _ in range(count)]
        writer.join()
    expect("in a row", found, [200] * count)


def main():
    """All checks."""
    expect("one", ask(GOOD), [200])
    expect("in pieces", ask(GOOD[:3], GOOD[3:20], GOOD[20:] + GOOD[:10], GOOD[10:]), [200, 200])
    expect("a body in pieces", ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
                                   b"cde" + GOOD), [405, 200])
    expect("close", ask(GOOD[:-2] + b"Connection: close\r\n\r\n" + GOOD), [200])
    expect("HTTP/1.0", ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                           b"GET / HTTP/1.0\r\n\r\n" + GOOD), [200, 200])
    for status, bad in ((400, b"GET /\r\n\r\n"), (400, b"GET / HTTP/1.1\r\n\r\n"),
                        (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
                        (501, GOOD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"),
                        (400, GOOD[:-2] + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
                        (413, GOOD[:-2] + b"Content-Length: 99999999999\r\n\r\n"),
                        (417, GOOD[:-2] + b"Expect: 100-continue\r\n\r\n"),
                        (400, GOOD[:-2] + b"A : b\r\n\r\n"),
                        (431, GOOD[:-2] + b"A: " + b"a" * 8192)):
        expect(repr(bad[:60]), ask(bad), [status])
    rows()


main()
