#!/usr/bin/env python3
"""A viewer that logs in, asks the relay (or the recorder itself) for video, and leaves after a while."""

import argparse
import socket
import struct
import sys
import time

import lab
import web

ERRANDS = {
    "login": ("https://ows.openeye.net/login", "-d", "user=lab"),
    "contera": ("https://arecontvision-ws.com/login", "-d", "user=lab"),
    "api": ("https://restapi.gp4f.com/v1/recorders/00451",),
    "lsf": ("https://lsf.u5fgb.com/v1/addresses",),
    "other": ("https://www.example.com/",),
}


def prepare(args):
    for word in filter(None, args.before.split(",")):
        url, *switches = ERRANDS[word]
        try:
            web.fetch(url, "-A", args.agent, *switches, proxy=args.proxy)
        except OSError as error:
            print(f"viewer: {error}")


def watch(args):
    """One view; returns the number of body bytes that arrived."""
    tls = args.scheme == "https"
    host, _, port = (args.direct or args.relay).partition(":")
    cls, subclass = (args.noted.split("/") + [""])[:2]
    sub, target = [subclass] if subclass else [], "/video" if args.direct else f"/view/{args.id}"
    if args.forward:
        proxy, at = args.forward.split(":")
        sock = lab.open_tcp(socket.AF_INET, proxy, int(at), host, cls, sub, args.patience)
        target = f"http://{host}{target}"
    else:
        sock = lab.connect(host, int(port or (443 if tls else 80)), tls, cls, sub, proxy=args.proxy,
                           timeout=min(12, args.patience))
    ends = sock.getsockname()[:2], sock.getpeername()[:2]
    if args.pause:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    sock.settimeout(args.patience)
    more = {"authorization": "Basic bGFiOmxhYg=="} if args.basic else {}
    sock.sendall(lab.head(f"GET {target}?camera={args.camera} HTTP/1.1", host=host, user_agent=args.agent,
                          accept="*/*", **more))
    lab.moment("view:asked", "TCP", *ends, host)
    count = 0
    try:
        stream = sock.makefile("rb")
        start, headers = lab.read_head(stream) or ("nothing", {})
        if " 200 " not in start:
            lab.moment("view:answered-" + (start.split() + ["", ""])[1], "TCP", *ends, host)
            return 0
        end, pause = time.monotonic() + args.seconds, list(args.pause)
        for piece in lab.read_body(stream, headers):
            count += len(piece)
            if pause and time.monotonic() >= end - args.seconds + pause[0]:
                time.sleep(pause[1])
                pause = []
            if time.monotonic() >= end:
                break
    except TimeoutError:
        pass
    finally:
        if args.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--relay", metavar="HOST", default="a1b2.us-west.u5fgb.com")
    parser.add_argument("--direct", metavar="HOST[:PORT]", help="the recorder itself, instead of the relay")
    parser.add_argument("--noted", metavar="CLASS[/SUBCLASS]", default="relay/video-down", help="what the view is")
    parser.add_argument("--before", default="login,api", help="what it asks for first: " + ",".join(ERRANDS))
    parser.add_argument("--scheme", choices=["http", "https"], default="https")
    parser.add_argument("--proxy", metavar="IP:PORT", help="an explicit proxy, by CONNECT")
    parser.add_argument("--forward", metavar="IP:PORT", help="an explicit proxy, by an absolute URI in clear")
    parser.add_argument("--id", default="00451")
    parser.add_argument("--camera", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10, help="how long it watches")
    parser.add_argument("--patience", type=float, default=25, help="seconds of silence after which it leaves")
    parser.add_argument("--attempts", type=int, default=1)
    parser.add_argument("--again", type=float, default=2, help="seconds between attempts")
    parser.add_argument("--pause", type=float, nargs=2, default=[], metavar=("AFTER", "FOR"), help="reads nothing")
    parser.add_argument("--reset", action="store_true", help="leaves by RST")
    parser.add_argument("--basic", action="store_true", help="sends Basic credentials")
    parser.add_argument("--agent", default="viewer/1.0")
    args = parser.parse_args()
    prepare(args)
    for number in range(args.attempts):
        time.sleep(args.again if number else 0)
        try:
            print(f"viewer: {watch(args)} bytes", file=sys.stderr)
        except OSError as error:
            print(f"viewer: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
