#!/usr/bin/env python3
"""An ICAP server (RFC 3507) that scans: it reads a whole body before it says that nothing was found.

REQMOD and RESPMOD; `hold` reads to the end, `hold:bytes=N` gives its verdict after so many bytes as some scanners do
that have a limit. Without a preview it must send the message back, so that it holds all it has read.
"""

import argparse
import socket
import threading

import lab
import modes

HEAD = ("ICAP/1.0 {}\r\nISTag: \"lab-1\"\r\nMethods: {}\r\nOptions-TTL: 600\r\nMax-Connections: 100\r\n{}\r\n")


def encapsulated(headers):
    """[(name, offset)] of the Encapsulated header."""
    pairs = (part.strip().split("=") for part in headers.get("encapsulated", "null-body=0").split(","))
    return [(name, int(offset)) for name, offset in pairs]


def serve(sock, args):
    stream = sock.makefile("rb")
    while (message := lab.read_head(stream)):
        start, headers = message
        method, target, _ = start.split(" ")
        point = "REQMOD" if "/req" in target or method == "REQMOD" else "RESPMOD"
        if method == "OPTIONS":
            sock.sendall(HEAD.format("200 OK", args.point or point, "Allow: 204\r\nEncapsulated: null-body=0\r\n")
                         .encode())
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
        bag = modes.Bag(modes.NEVER, lambda: False)
        verdict = HEAD.format("200 OK", method, f"Encapsulated: {name}-hdr=0, {name}-body={len(own)}\r\n")

        def fill(bag=bag):
            try:
                for piece in lab.read_body(stream, {"transfer-encoding": "chunked"}):
                    bag.put(b"%x\r\n%s\r\n" % (len(piece), piece))
                bag.put(b"0\r\n\r\n")
            except (OSError, ValueError):
                pass
            bag.end()

        threading.Thread(target=fill, daemon=True).start()
        mode, options = modes.parse(args.mode)
        first = [verdict.encode() + own]
        modes.MODES[mode](bag, lambda data: sock.sendall((first.pop() if first else b"") + data), options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=1344)
    parser.add_argument("--mode", default="buffer-all", help="a mode of modes.py")
    parser.add_argument("--point", choices=["REQMOD", "RESPMOD"], help="what OPTIONS tells, whatever was asked")
    args = parser.parse_args()
    with socket.create_server(("127.0.0.1", args.port)) as server:
        while True:
            sock, _ = server.accept()
            threading.Thread(target=serve, args=(sock, args), daemon=True).start()


if __name__ == "__main__":
    main()
