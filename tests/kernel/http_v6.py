#!/usr/bin/env python3
"""http_v6.py DIR PORT - serves files on IPv6 only, on any address that comes later, too."""
import functools
import http.server
import socket
import sys


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()


handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
with Server(("::", int(sys.argv[2])), handler) as server:
    print("ready", flush=True)
    server.serve_forever()
