#!/usr/bin/env python3
"""A viewer that asks the relay for a recorder's video and leaves after a while."""

import argparse
import sys
import time

import lab


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--relay", required=True, metavar="HOST")
    parser.add_argument("--scheme", choices=["http", "https"], default="https")
    parser.add_argument("--id", default="00451")
    parser.add_argument("--camera", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--agent", default="viewer/1.0")
    args = parser.parse_args()

    tls = args.scheme == "https"
    sock = lab.connect(args.relay, 443 if tls else 80, tls, "relay", ["video-down"])
    sock.sendall(lab.head(f"GET /view/{args.id}?camera={args.camera} HTTP/1.1", host=args.relay,
                          user_agent=args.agent, accept="*/*"))
    stream = sock.makefile("rb")
    start, headers = lab.read_head(stream) or ("nothing", {})
    end, got = time.monotonic() + args.seconds, b""
    count = 0
    if " 200 " in start:
        for piece in lab.read_body(stream, headers):
            got = got or piece
            count += len(piece)
            if time.monotonic() >= end:
                break
    sock.close()
    print(f"viewer: {start}; {headers.get('content-type')}; {got[:15]!r}; {count} bytes", file=sys.stderr)
    if count == 0:
        sys.exit("viewer: no video arrived")


if __name__ == "__main__":
    main()
