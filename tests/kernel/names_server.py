"""A DNS server on kernel sockets for names.sh: UDP and TCP, all addresses, port 53."""
import socket
import struct
import threading

ADDRESSES = {
    "host.example": {1: "10.77.0.1", 28: "fd77::1"},
    "cut.example": {1: "10.77.0.1", 28: "fd77::1"},
    "four.example": {1: "10.77.0.1"},
    "six.example": {28: "fd77::1"},
}


def answer(query, is_udp):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    name = ".".join(labels).lower()
    kind, = struct.unpack("!H", query[at + 1:at + 3])
    question = query[12:at + 5]
    known = ADDRESSES.get(name)
    flags = 0x8180 if known else 0x8183
    record = b""
    if known and kind in known:
        family = socket.AF_INET if kind == 1 else socket.AF_INET6
        data = socket.inet_pton(family, known[kind])
        record = struct.pack("!HHHIH", 0xc00c, kind, 1, 60, len(data)) + data
    if is_udp and name.startswith("cut"):
        flags, record = flags | 0x0200, b""
    return query[:2] + struct.pack("!HHHHH", flags, 1, bool(record), 0, 0) + question + record


def serve_tcp(listener):
    while True:
        conn, _ = listener.accept()
        with conn, conn.makefile("rb") as stream:
            while len(size := stream.read(2)) == 2:
                reply = answer(stream.read(struct.unpack("!H", size)[0]), False)
                conn.sendall(struct.pack("!H", len(reply)) + reply)


listener = socket.create_server(("::", 53), family=socket.AF_INET6, dualstack_ipv6=True)
threading.Thread(target=serve_tcp, args=(listener,), daemon=True).start()
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", 53))
print("ready", flush=True)
while True:
    asked, peer = udp.recvfrom(1024)
    udp.sendto(answer(asked, True), peer)
