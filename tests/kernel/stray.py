#!/usr/bin/env python3
"""stray.py SRC DST PORT SECONDS - empty TCP segments of a connection that nobody has, from port 40000:
what an earlier run's kernel socket sends again.  Raw sockets: root."""
import socket
import struct
import sys
import time

SRC_PORT, SEQ, ACK, WINDOW = 40000, 777, 999999, 500
ACK_FLAG = 0x10
INTERVAL = 0.0005


def checksum(data):
    """The Internet checksum of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def segment(src, dst, port):
    """A TCP header with its checksum."""
    header = struct.pack("!HHIIBBHHH", SRC_PORT, port, SEQ, ACK, 5 << 4, ACK_FLAG, WINDOW, 0, 0)
    pseudo = (socket.inet_aton(src) + socket.inet_aton(dst) +
              struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(header)))
    return header[:16] + struct.pack("!H", checksum(pseudo + header)) + header[18:]


def main():
    src, dst, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    data = segment(src, dst, port)
    sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            sender.sendto(data, (dst, 0))
        except OSError:
            pass  # no interface yet
        time.sleep(INTERVAL)  # the rate of the strays, not a wait for something


main()
