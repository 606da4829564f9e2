"""What every actor of the lab shares: the ledger of what was started, names, sockets, and HTTP heads and bodies.

The ledger is how truth is made: whoever opens a socket writes down, at once, which 5-tuple it is and what it is
for, and the moment at which something goes wrong, as it is felt here. No analyzer has a say in it.
"""

import json
import os
import random
import socket
import ssl
import struct
import time

CA = os.environ.get("LAB_CA", "")
RUN = os.environ.get("LAB_RUN", "")
LEDGER = os.environ.get("LAB_LEDGER", "")
QTYPES = {"A": (1, socket.AF_INET), "AAAA": (28, socket.AF_INET6)}
RCODES = {2: "servfail", 3: "nxdomain", 5: "refused"}


def write(row):
    if LEDGER:
        with open(LEDGER, "a", encoding="ascii") as ledger:
            ledger.write(json.dumps(row) + "\n")


def ends(proto, local, remote):
    return {"proto": proto, "src_ip": local[0], "src_port": local[1], "dest_ip": remote[0], "dest_port": remote[1]}


def note(proto, local, remote, name, cls, subclass=(), at=None):
    """Writes down one flow; `local` opens it, now or at `at` (seconds since 1970)."""
    write({"time": at or time.time(), "name": name, "class": cls, "subclass": list(subclass)} | ends(proto, local, remote))


def moment(what, proto, local, remote, name, at=None):
    """Writes down that something begins on a flow that `local` opened: now, or at `at` (seconds since 1970)."""
    write({"moment": what, "time": at or time.time(), "name": name} | ends(proto, local, remote))


def purpose(host):
    """The class and subclass of a name, as hosts.json has them; local-ip for an address."""
    try:
        with open(os.path.join(RUN, "hosts.json"), encoding="ascii") as file:
            row = json.load(file)[host]
        return row["class"], row["subclass"]
    except (KeyError, FileNotFoundError):
        return ("unknown", [])


def resolver():
    with open("/etc/resolv.conf", encoding="ascii") as file:
        return next(line.split()[1] for line in file if line.startswith("nameserver"))


def resolve(host, server=None, timeout=5, attempts=2, kinds=("A", "AAAA")):
    """The addresses of a name, IPv6 first, asked as glibc does: both kinds from one socket, and again after `timeout`.

    Written here because only so is the socket of each question known. Raises OSError where there is no address.
    """
    if host.replace(".", "").isdigit() or ":" in host:
        return [host]
    peer = (server or resolver(), 53)
    began = time.time()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(peer)
        local = sock.getsockname()
        note("UDP", local, peer, host, "dns")
        for _ in range(attempts):
            waiting = {}
            for kind in kinds:
                waiting[number := random.randrange(65536)] = kind
                labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
                sock.send(struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels
                          + struct.pack("!BHH", 0, QTYPES[kind][0], 1))
            found, code, end = {}, 0, time.monotonic() + timeout
            while waiting and (left := end - time.monotonic()) > 0:
                sock.settimeout(left)
                try:
                    reply = sock.recv(4096)
                except (TimeoutError, ConnectionRefusedError):
                    break
                kind = waiting.pop(struct.unpack_from("!H", reply)[0], None)
                if kind:
                    code = code or reply[3] & 15
                    found[kind] = answers(reply, kind)
            if found:
                break
        else:
            moment("dns:unanswered", "UDP", local, peer, host, began)
            raise OSError(f"{host}: the resolver does not answer")
    moment("dns:" + (RCODES.get(code, "error") if code else "answered"), "UDP", local, peer, host, began)
    addresses = found.get("AAAA", []) + found.get("A", [])
    if not addresses:
        raise OSError(f"{host}: no address ({RCODES.get(code, code)})")
    return addresses


def answers(reply, kind):
    """The addresses of one kind in a DNS response (RFC 1035 section 4)."""
    def skip_name(at):
        while reply[at] not in (0,) and reply[at] < 0xC0:
            at += reply[at] + 1
        return at + (2 if reply[at] else 1)

    wanted, family = QTYPES[kind]
    at, found = skip_name(12) + 4, []
    for _ in range(struct.unpack_from("!H", reply, 6)[0]):
        at = skip_name(at)
        qtype, _, _, length = struct.unpack_from("!HHIH", reply, at)
        if qtype == wanted:
            found.append(socket.inet_ntop(family, reply[at + 10:at + 10 + length]))
        at += 10 + length
    return found


def connect(host, port, tls, cls=None, subclass=None, timeout=12, proxy=None, version=None):
    """Looks `host` up, connects (through `proxy`, IP:PORT, by CONNECT), and speaks TLS where asked.

    The flow is written down before its first packet, by what `hosts.json` says of the name unless told otherwise;
    so is the moment at which it was begun, under what became of it, where it fails. Raises OSError.
    """
    if cls is None:
        cls, subclass = purpose(host)
    addresses = [proxy.split(":")[0]] if proxy else resolve(host)
    peer_port = int(proxy.split(":")[1]) if proxy else port
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        last = address == addresses[-1]
        try:
            sock = open_tcp(family, address, peer_port, host, cls, subclass or [], timeout if last else 4)
            break
        except OSError:
            if last:
                raise
    local, peer, began = sock.getsockname()[:2], sock.getpeername()[:2], time.time()
    try:
        if proxy:
            tunnel(sock, host, port)
        if tls:
            context = ssl.create_default_context(cafile=CA)
            context.set_alpn_protocols(["http/1.1"])
            if version == "1.2":
                context.maximum_version = ssl.TLSVersion.TLSv1_2
            if host.replace(".", "").isdigit():  # the recorder itself, whose certificate nobody has signed
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            sock = context.wrap_socket(sock, server_hostname=host)
    except OSError as error:
        how = ("tls:reset" if isinstance(error, (ConnectionError, ssl.SSLEOFError)) else
               "tls:timeout" if isinstance(error, TimeoutError) else
               "proxy:refused" if isinstance(error, PermissionError) else "tls:failed")
        moment(how, "TCP", local, peer, host, began)
        raise
    return sock


def open_tcp(family, address, port, host, cls, subclass, timeout):
    """One TCP connection; its port is taken, and written down, before the SYN."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, port))  # sends nothing; tells which address a packet to there would have
        local = probe.getsockname()[0]
    sock.bind((local, 0))
    local, peer = sock.getsockname()[:2], (address, port)
    note("TCP", local, peer, host, cls, subclass)
    began = time.time()
    sock.settimeout(timeout)
    try:
        sock.connect(peer)
    except OSError as error:
        how = ("timeout" if isinstance(error, TimeoutError) else
               "refused" if isinstance(error, ConnectionRefusedError) else "unreachable")
        moment("tcp:" + how, "TCP", local, peer, host, began)
        sock.close()
        raise
    return sock


def tunnel(sock, host, port):
    """A CONNECT through an explicit proxy (RFC 9110 section 9.3.6)."""
    sock.sendall(head(f"CONNECT {host}:{port} HTTP/1.1", host=f"{host}:{port}"))
    reply = b""
    while b"\r\n\r\n" not in reply:
        piece = sock.recv(1)
        if not piece:
            raise ConnectionResetError("the proxy hung up")
        reply += piece
    if b" 200" not in reply.split(b"\r\n")[0]:
        raise PermissionError(reply.split(b"\r\n")[0].decode("latin-1"))


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
