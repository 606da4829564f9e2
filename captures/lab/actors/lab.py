"""What every actor of the lab shares: the ledger of what was started, sockets, and HTTP heads and bodies.

The ledger is how truth is made: whoever opens a socket writes down, at once, which 5-tuple it is and what it is
for. No analyzer has a say in it.
"""

import json
import os
import socket
import ssl

CA = os.environ.get("LAB_CA", "")
LEDGER = os.environ.get("LAB_LEDGER", "")


def note(proto, local, remote, name, cls, subclass=()):
    """Appends one flow to the ledger; `local` opened it."""
    if not LEDGER:
        return
    row = {"proto": proto, "src_ip": local[0], "src_port": local[1], "dest_ip": remote[0], "dest_port": remote[1],
           "name": name, "class": cls, "subclass": list(subclass)}
    with open(LEDGER, "a", encoding="ascii") as ledger:
        ledger.write(json.dumps(row) + "\n")


def connect(host, port, tls, cls, subclass):
    """Looks `host` up, connects, notes the flow, and speaks TLS to the lab's CA where asked."""
    sock = socket.create_connection((host, port), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    note("TCP", sock.getsockname(), sock.getpeername(), host, cls, subclass)
    if tls:
        context = ssl.create_default_context(cafile=CA)
        context.set_alpn_protocols(["http/1.1"])
        sock = context.wrap_socket(sock, server_hostname=host)
    return sock


def read_head(stream):
    """The start line and the headers (lower-case names) of one HTTP message; None at the end of the stream."""
    start = stream.readline(65536)
    if not start:
        return None
    headers = {}
    while (line := stream.readline(65536).strip()):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return start.decode("latin-1").strip(), headers


def head(start, **headers):
    """An HTTP head; `content_type="x"` becomes `Content-Type: x`, and None leaves a header out."""
    lines = [start] + [f"{k.replace('_', '-').title()}: {v}" for k, v in headers.items() if v is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


# How an endless body may be framed. The vendor does not publish which it is; each is a switch.
FRAMINGS = {
    "chunked": {"transfer_encoding": "chunked"},
    "length": {"content_length": str(1 << 40)},
    "close": {"connection": "close"},
}


class BodyWriter:
    """Writes pieces of a body in one of FRAMINGS."""

    def __init__(self, sock, framing):
        self.sock, self.framing = sock, framing

    def write(self, data):
        if self.framing == "chunked":
            data = b"%x\r\n%s\r\n" % (len(data), data)
        self.sock.sendall(data)

    def end(self):
        if self.framing == "chunked":
            self.sock.sendall(b"0\r\n\r\n")


def read_body(stream, headers):
    """Yields the pieces of a body, by whatever framing its headers tell."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while (size := int(stream.readline(64) or b"0", 16)) > 0:
            yield stream.read(size)
            stream.readline(8)
        stream.readline(8)
        return
    left = int(headers.get("content-length", 1 << 62))
    while left > 0 and (data := stream.read1(min(left, 65536))):
        left -= len(data)
        yield data
