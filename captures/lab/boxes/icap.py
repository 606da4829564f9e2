#!/usr/bin/env python3
"""An ICAP server (RFC 3507) that scans: it reads a whole body before it says that nothing was found.

It takes no preview and no 204, so that it has to send the message back, and holds what it has read of it until then.
"""

import argparse
import socket
import threading

import lab
import modes

HEAD = "ICAP/1.0 {}\r\nISTag: \"lab-1\"\r\nMethods: {}\r\nOptions-TTL: 600\r\nMax-Connections: 100\r\n{}\r\n"


def encapsulated(headers):
    """[(name, offset)] of the Encapsulated header."""
    pairs = (part.strip().split("=") for part in headers.get("encapsulated", "null-body=0").split(","))
    return [(name, int(offset)) for name, offset in pairs]


def serve(sock, args):
    stream = sock.makefile("rb")
    while (message := lab.read_head(stream)):
        start, headers = message
        method = start.split(" ")[0]
        if method == "OPTIONS":
            sock.sendall(HEAD.format("200 OK", args.point, "Encapsulated: null-body=0\r\n").encode())
            continue
        parts = encapsulated(headers)
        heads = stream.read(parts[-1][1])
        kept = [name for name, _ in parts]
        own = heads[dict(parts).get("res-hdr", 0):]
        name = "res" if method == "RESPMOD" else "req"
        if kept[-1] == "null-body":
            sock.sendall(HEAD.format("200 OK", method, f"Encapsulated: {name}-hdr=0, null-body={len(own)}\r\n")
                         .encode() + own)
            continue
        mode, options = modes.parse(args.mode)
        bag = modes.Bag(options.get("limit", modes.NEVER), lambda: False)
        verdict = HEAD.format("200 OK", method, f"Encapsulated: {name}-hdr=0, {name}-body={len(own)}\r\n")

        body = lab.read_body(stream, {"transfer-encoding": "chunked"})
        threading.Thread(target=modes.fill, args=(bag, body, True), daemon=True).start()
        first = [verdict.encode() + own]
        modes.MODES[mode](bag, lambda data: sock.sendall((first.pop() if first else b"") + data), options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=1344)
    parser.add_argument("--mode", default="buffer-all", help="a mode of modes.py")
    parser.add_argument("--point", choices=["REQMOD", "RESPMOD"], default="RESPMOD", help="what it does")
    args = parser.parse_args()
    with socket.create_server(("127.0.0.1", args.port)) as server:
        while True:
            sock, _ = server.accept()
            threading.Thread(target=serve, args=(sock, args), daemon=True).start()


if __name__ == "__main__":
    main()
