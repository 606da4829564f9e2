#!/usr/bin/env python3
"""A filter for HTTP and TLS that does, on demand, what filters have been seen to do with a body that never ends.

It is a gateway's transparent proxy (connections arrive by a redirect) or an explicit one (CONNECT and absolute URIs).
`--up` says what becomes of request bodies, `--down` of responses; both take a mode of modes.py, or `answer`, which
answers itself instead of passing on: `answer:status=413,after=4096`. TLS is tunnelled, or taken apart with the
filter's CA. It writes into the ledger what it opens, and the moments `held` (it has the first byte of what it holds),
`full` (it takes no more), `released` (that is over, however it ended) and `refused`, for the client's flow and for its
own.
"""

import argparse
import os
import socket
import ssl
import struct
import threading
import time

import gate
import hello
import lab
import modes

SO_ORIGINAL_DST = 80
PATHS = {"control": ["idle"], "relay": ["video-up"], "view": ["video-down"]}
TCP_CLOSE_WAIT = 8
PAGE = "<html><head><title>Access denied</title></head><body><h1>{}</h1><p>Blocked by policy.</p></body></html>"
REASONS = {403: "Forbidden", 407: "Proxy Authentication Required", 411: "Length Required", 413: "Payload Too Large",
           415: "Unsupported Media Type", 417: "Expectation Failed", 502: "Bad Gateway", 504: "Gateway Timeout"}


class Minter:
    """Certificates on demand, by the filter's own CA."""

    def __init__(self, tls):
        self.tls, self.dir, self.lock, self.made = tls, gate.home("box"), threading.Lock(), {}

    def context(self, name):
        with self.lock:
            if name not in self.made:
                self.made[name] = self.make(name)
            return self.made[name]

    def make(self, name):
        path = gate.certificate(os.path.join(self.dir, name), [name])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[self.tls]
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(path + ".pem", path + ".key")
        return context

    def accept(self, sock):
        """TLS towards the client under whatever name it asks for, and that name."""
        asked = []

        def named(tls, name, _):
            asked.append(name)
            tls.context = self.context(name)

        first = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        first.maximum_version = self.context("filter.invalid").maximum_version
        first.sni_callback = named
        return first.wrap_socket(sock, server_side=True), asked[0]


class Session:
    """One connection of a client, and the one towards the server that goes with it."""

    def __init__(self, client, args, minter):
        self.args, self.minter = args, minter
        self.raw = self.client = client
        self.peer = client.getpeername()
        self.dest = self.name = self.path = self.server = self.upstream = None
        self.lock = threading.Lock()

    def original(self):
        _, port, address = struct.unpack_from("!HH4s", self.raw.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16))
        return socket.inet_ntoa(address), port

    def gone(self):
        """Whether the client has left, and the filter cares."""
        state = self.raw.getsockopt(socket.SOL_TCP, socket.TCP_INFO, 1)[0]
        return state == TCP_CLOSE_WAIT and not self.args.keep_pulling

    def moment(self, what):
        """Writes down that something begins on the client's flow, as its LAN sees it, and on the one beyond."""
        lab.moment(what, "TCP", self.peer, self.raw.getsockname() if self.args.explicit else self.dest, self.name)
        if self.upstream:
            lab.moment(what, "TCP", self.upstream.getsockname(), self.dest, self.name)

    def connect(self):
        """The connection to the server, opened when first needed."""
        with self.lock:
            if self.upstream is None:
                cls, subclass = lab.purpose(self.name or "")
                subclass = PATHS.get(self.path, subclass)
                sock = lab.open_tcp(socket.AF_INET, *self.dest, self.name or "", cls, subclass, 20)
                sock.settimeout(None)
                if self.minter and self.dest[1] == 443:
                    context = ssl.create_default_context(cafile=gate.CLOUD_CA)
                    context.set_alpn_protocols(["http/1.1"])
                    sock = context.wrap_socket(sock, server_hostname=self.name)
                self.upstream, self.server = sock, sock.makefile("rb")
            return self.upstream

    def run(self):
        stream = self.client.makefile("rb")
        message = None
        if self.args.explicit:
            message = lab.read_head(stream)
            if message is None or not self.authorised(message):
                return
            method, target, _ = message[0].split(" ")
            if method == "CONNECT":
                host, _, port = target.partition(":")
                self.dest, self.name, message = (lab.resolve(host)[0], int(port)), host, None
                self.connect_reply()
            else:
                host, _, port = target.split("/")[2].partition(":")
                self.dest, self.name = (lab.resolve(host)[0], int(port or 80)), host
        else:
            self.dest = self.original()
        if self.dest[1] == 443:
            self.name = self.name or hello.sni(self.raw.recv(4096, socket.MSG_PEEK))
            if not self.minter:
                self.tunnel()
                return
            if self.args.early:
                self.connect()
            self.client, self.name = self.minter.accept(self.client)
            self.raw = self.client  # the plain socket has given itself up
            stream = self.client.makefile("rb")
        message = message or lab.read_head(stream)
        while message and self.exchange(stream, *message):
            message = lab.read_head(stream)

    def authorised(self, message):
        """Whether the proxy lets a request in; if not, it has been told what it would take."""
        if not self.args.auth or "proxy-authorization" in message[1]:
            return True
        lines = "".join(f"Proxy-Authenticate: {scheme}\r\n" for scheme in self.args.auth)
        body = PAGE.format("407").encode()
        self.client.sendall(f"HTTP/{self.args.version} 407 {REASONS[407]}\r\n{lines}Content-Type: text/html\r\n"
                            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        return False

    def connect_reply(self):
        self.connect()
        more = "Connection: close\r\n" if self.args.version == "1.0" else ""
        self.client.sendall(f"HTTP/{self.args.version} 200 Connection established\r\n{more}\r\n".encode())

    def tunnel(self):
        """Opaque both ways, until either side ends."""
        def pump(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        upstream = self.connect()
        back = threading.Thread(target=pump, args=(upstream, self.client), daemon=True)
        back.start()
        pump(self.client, upstream)
        back.join(timeout=5)

    def held(self, mode, headers):
        """The mode and its options, for a message with these headers."""
        name, options = modes.parse(mode)
        if "only" in options and headers.get("content-type", "").partition(";")[0] != options["only"]:
            return "live", {}
        return name, options

    def exchange(self, stream, start, headers):
        """One request and its answer; tells whether the connection goes on."""
        method, target, version = start.split(" ")
        self.name, self.path = self.name or headers.get("host"), (target.split("/") + ["", ""])[1]
        if self.args.explicit and "://" in target:
            start = f"{method} /{target.split('/', 3)[3]} {version}"
        up, options = self.held(self.args.up, headers)
        body = "content-length" in headers or "transfer-encoding" in headers or headers.get("connection") == "close"
        body = body and method in ("POST", "PUT")
        if headers.pop("expect", "").lower() == "100-continue" and self.args.expect == "answer":
            self.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if body and up == "answer":
            return self.answer(stream, headers, options)
        sender = threading.Thread(target=self.send_request, daemon=True,
                                  args=(stream, start, headers, body, up, options))
        sender.start()
        if body and up != "live":
            sender.join()  # it answers only what it has let through
        if up == "swallow" and body:
            return False
        return self.receive_response()

    def send_request(self, stream, start, headers, body, up, options):
        bag = modes.Bag(options.get("limit", modes.NEVER), lambda: False, lambda: self.moment("full"))
        first = rewrite(start, headers, self.args.via)
        if options.get("headers") or up == "live":
            self.connect().sendall(first)
        else:
            bag.put(first)
        source = lab.read_body(stream, headers) if body else ()
        self.carry(bag, source, headers, up, options, lambda data: data and self.connect().sendall(data))

    def receive_response(self):
        self.connect()
        message = lab.read_head(self.server)
        if message is None:
            return False
        start, headers = message
        down, options = self.held(self.args.down, headers)
        if down == "answer":
            self.moment("refused")
            self.client.sendall(self.page(options))
            self.upstream.close()
            return False
        bag = modes.Bag(options.get("limit", modes.NEVER), self.gone, lambda: self.moment("full"))
        first = rewrite(start, headers, self.args.via)
        if options.get("headers") or down == "live":
            self.client.sendall(first)
        else:
            bag.put(first)
        bodiless = start.split(" ")[1] in ("204", "304")
        source = () if bodiless else lab.read_body(self.server, headers)
        self.carry(bag, source, headers, down, options, lambda data: data and self.client.sendall(data))
        return headers.get("connection") != "close"

    def carry(self, bag, source, headers, mode, options, send):
        """Fills the bag from one side while the mode empties it to the other."""
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        if mode != "live":
            self.moment("held")
        threading.Thread(target=modes.fill, args=(bag, source, chunked), daemon=True).start()
        try:
            modes.MODES[mode](bag, send, options)
        finally:
            bag.end()
            if mode != "live":
                self.moment("released")

    def answer(self, stream, headers, options):
        """Takes in some of a body, then answers instead of the server."""
        taken, after = 0, options.get("after", 0)
        source = lab.read_body(stream, headers)
        while taken < after and (piece := next(source, b"")):
            taken += len(piece)
        self.moment("refused")
        self.client.sendall(self.page(options))
        time.sleep(options.get("linger", 0))
        return False

    def page(self, options):
        status = int(options.get("status", 403))
        body = PAGE.format(status).encode()
        more = f"Via: 1.1 {self.args.via}\r\n" if self.args.via else ""
        return (f"HTTP/1.1 {status} {REASONS.get(status, 'OK')}\r\n{more}Content-Type: text/html\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body


def rewrite(start, headers, via):
    """A head as it goes on: hop-by-hop headers of a proxy's away, and perhaps its name added."""
    lines = [start] + [f"{k.title()}: {v}" for k, v in headers.items() if not k.startswith("proxy-")]
    if via:
        lines.append(f"Via: 1.1 {via}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def serve(client, args, minter, pool):
    session = Session(client, args, minter)
    pool.acquire()
    try:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session.run()
    except (OSError, ValueError, modes.Gone):
        pass  # either side left, or it was no HTTP; the connection is over
    finally:
        for sock in (session.client, session.upstream):
            if sock:
                sock.close()
        pool.release()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=3129)
    parser.add_argument("--explicit", action="store_true", help="an explicit proxy, not a redirect's target")
    parser.add_argument("--up", default="live", metavar="MODE", help="what becomes of request bodies")
    parser.add_argument("--down", default="live", metavar="MODE", help="what becomes of responses")
    parser.add_argument("--intercept", action="store_true", help="take TLS apart with the filter's CA")
    parser.add_argument("--tls", choices=["1.2", "1.3"], default="1.3", help="the newest version towards the client")
    parser.add_argument("--early", action="store_true", help="connect to the server before answering the ClientHello")
    parser.add_argument("--keep-pulling", action="store_true", help="go on taking in after the client has left")
    parser.add_argument("--expect", choices=["answer", "swallow"], default="answer", help="Expect: 100-continue")
    parser.add_argument("--auth", nargs="*", metavar="SCHEME", help="what an explicit proxy wants (407)")
    parser.add_argument("--version", choices=["1.0", "1.1"], default="1.1", help="HTTP version of the proxy's replies")
    parser.add_argument("--via", help="add a Via header of this name")
    parser.add_argument("--rcvbuf", type=int, help="bytes of receive buffer towards the client")
    parser.add_argument("--pool", type=int, default=1000, help="connections served at a time; the others wait")
    args = parser.parse_args()
    pool = threading.Semaphore(args.pool)
    minter = Minter(args.tls) if args.intercept else None
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if args.rcvbuf:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, args.rcvbuf)
        server.bind(("0.0.0.0", args.port))
        server.listen(64)
        while True:
            client, _ = server.accept()
            threading.Thread(target=serve, args=(client, args, minter, pool), daemon=True).start()


if __name__ == "__main__":
    main()
