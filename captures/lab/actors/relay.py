#!/usr/bin/env python3
"""A relay as the vendor's documents describe one: it hands a viewer what the recorder posts, as it comes.

POST /control/ID         the recorder's control connection; the answer carries the next embedded request, if any
GET  /poll/SECONDS       a long poll, answered with nothing new after that time
GET  /view/ID?camera=N   a viewer; answered when the recorder's POST for that view has begun
POST /relay/VIEW         the recorder's embedded HTTP response, of Content-Type message/http

Assumed, and therefore switches: how the client leg is framed, whether it keeps the message/http wrapper, how long
the control connection is held without news, and when the relay gives up on a silent view.
"""

import argparse
import itertools
import queue
import socket
import ssl
import threading
import time

import lab

COMMANDS = {}  # recorder id -> queue of embedded requests
VIEWS = {}  # view id -> queue of body pieces, None at the end
NUMBER = itertools.count(1)
LOCK = threading.Lock()


def commands(recorder):
    with LOCK:
        return COMMANDS.setdefault(recorder, queue.Queue())


def control(sock, stream, headers, recorder, args):
    """Takes the heartbeat in and holds the answer until there is news or the hold is over."""
    for _ in lab.read_body(stream, headers):
        pass
    try:
        news = commands(recorder).get(timeout=args.hold)
        sock.sendall(lab.head("HTTP/1.1 200 OK", content_type="message/http", content_length=len(news)) + news)
    except queue.Empty:
        sock.sendall(lab.head("HTTP/1.1 204 No Content"))


def relay(sock, stream, headers, view, args):
    """Passes on what the recorder posts, piece by piece; never holds it."""
    pieces = VIEWS.get(view)
    if pieces is None:
        sock.sendall(lab.head("HTTP/1.1 404 Not Found", content_length=0))
        return
    if headers.get("expect") == "100-continue" and not args.no_continue:
        sock.sendall(lab.head("HTTP/1.1 100 Continue"))
    for piece in lab.read_body(stream, headers):
        while view in VIEWS:
            try:
                pieces.put(piece, timeout=1)
                break
            except queue.Full:
                continue  # the viewer is slower than the recorder
        else:
            raise ConnectionAbortedError  # the viewer has left
    sock.sendall(lab.head("HTTP/1.1 200 OK", content_length=0))
    if headers.get("x-more") != "1":
        pieces.put(None)


def view(sock, target, scheme, args):
    """Asks the recorder for a stream and copies it out in the framing of the client leg."""
    number, pieces = str(next(NUMBER)), queue.Queue(args.queue)
    VIEWS[number] = pieces
    recorder, _, query = target.partition("?")
    commands(recorder).put(lab.head(f"GET /video?{query} HTTP/1.1", x_view=number, x_scheme=scheme))
    try:
        first = pieces.get(timeout=args.give_up)
        kind = "message/http"
        if args.client_leg == "unwrapped":
            inner, _, first = first.partition(b"\r\n\r\n")
            kind = next(line[14:].decode() for line in inner.split(b"\r\n") if line.startswith(b"Content-Type: "))
        sock.sendall(lab.head("HTTP/1.1 200 OK", content_type=kind, cache_control="no-store",
                              **lab.FRAMINGS[args.framing]))
        out, end = lab.BodyWriter(sock, args.framing), time.monotonic() + args.longest
        while first is not None:
            if first:
                out.write(first)
            if time.monotonic() > end:
                break
            first = pieces.get(timeout=args.give_up)
        out.end()
    except queue.Empty:
        sock.sendall(lab.head("HTTP/1.1 504 Gateway Timeout", content_length=0))
    finally:
        VIEWS.pop(number, None)


def serve(sock, scheme, context, args):
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        stream = sock.makefile("rb")
        while (message := lab.read_head(stream)):
            (start, headers) = message
            method, target, _ = start.split(" ")
            _, kind, rest = target.split("/", 2)
            if (method, kind) == ("POST", "control"):
                control(sock, stream, headers, rest, args)
            elif (method, kind) == ("POST", "relay"):
                relay(sock, stream, headers, rest, args)
            elif (method, kind) == ("GET", "poll"):
                time.sleep(float(rest))
                sock.sendall(lab.head("HTTP/1.1 200 OK", content_type="application/json", content_length=2) + b"[]")
            elif (method, kind) == ("GET", "view"):
                view(sock, rest, scheme, args)
            else:
                sock.sendall(lab.head("HTTP/1.1 404 Not Found", content_length=0))
    except (OSError, ValueError):
        pass  # a peer that left or spoke no HTTP; the connection is over either way
    finally:
        sock.close()


def listen(address, port, context, args):
    with socket.create_server((address, port)) as server:
        if args.queue:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 40000)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 40000)
        while True:
            sock, _ = server.accept()
            scheme = "https" if context else "http"
            threading.Thread(target=serve, args=(sock, scheme, context, args), daemon=True).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--tls", choices=["1.2", "1.3"], default="1.3", help="the newest version spoken")
    parser.add_argument("--framing", choices=lab.FRAMINGS, default="chunked", help="of the client leg")
    parser.add_argument("--client-leg", choices=["message/http", "unwrapped"], default="message/http")
    parser.add_argument("--hold", type=float, default=5, help="seconds that a control request is held")
    parser.add_argument("--give-up", type=float, default=25, help="seconds of silence after which a view ends")
    parser.add_argument("--queue", type=int, default=0, help="pieces kept for a slow viewer, with small buffers; 0: any")
    parser.add_argument("--no-continue", action="store_true", help="do not answer Expect: 100-continue")
    parser.add_argument("--longest", type=float, default=1e9, help="seconds after which it ends a view")
    args = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[args.tls]
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(args.cert, args.key)
    threading.Thread(target=listen, args=(args.address, 80, None, args), daemon=True).start()
    listen(args.address, 443, context, args)


if __name__ == "__main__":
    main()
