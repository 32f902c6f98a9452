#!/usr/bin/env python3
"""idle_client.py ADDRESS PORT COUNT - holds COUNT connections to an echo server and stays silent.

Each connection sends one byte and waits for it to come back; then "ready" is printed, and the
program sleeps until it is ended.
"""
import signal
import socket
import sys


def main():
    """Opens, says so, waits."""
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    connections = []
    for _ in range(count):
        connection = socket.create_connection((address, port), timeout=10)
        connection.sendall(b"x")
        if connection.recv(1) != b"x":
            sys.exit("idle_client.py: no echo")
        connections.append(connection)
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
