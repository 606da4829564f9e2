#!/usr/bin/env python3
"""A recorder that keeps a control connection to the relay and answers each embedded request by reverse HTTP:
an outbound POST of Content-Type message/http whose body is an HTTP response with an endless body.

Assumed, and therefore switches: the framing of the POST, one long POST or one a group of pictures, the shape of the
video, the heartbeat's period and size (the default mean is the published 45 MB a day), and the control port.
"""

import argparse
import asyncio
import base64
import json
import random
import re
import threading
import time
import urllib.parse

import lab
import ntp
import stun
import web

BOUNDARY = b"frame"


def pictures(camera, args):
    """Yields (begins a group, bytes): the camera's rate on average, the first of each group eight times larger.

    A picture is one block of noise over and over: whoever compresses the capture is glad, no one else can tell.
    """
    noise = random.Random(args.seed)
    per_group = args.kbps[(camera - 1) % len(args.kbps)] * 125 * args.gop / args.fps
    small = max(64, int(per_group / (args.gop + 7)))
    for number in range(int(args.seconds * args.fps)):
        whole = number % args.gop == 0
        size = small * (8 if whole else 1)
        picture = (b"\0\0\0\1\x65" if whole else b"\0\0\0\1\x41") + (noise.randbytes(61) * (size // 61 + 1))[:size]
        if args.body == "multipart":
            picture = (b"--%s\r\nContent-Type: video/h264\r\nContent-Length: %d\r\n\r\n%s\r\n"
                       % (BOUNDARY, len(picture), picture))
        yield whole, picture


def filmed(camera, args):
    """The pictures when they are due; the camera may start late, or fall silent."""
    time.sleep(args.camera_late)
    start = time.monotonic()
    for count, (whole, picture) in enumerate(pictures(camera, args)):
        if args.camera_stops is not None and count / args.fps >= args.camera_stops:
            time.sleep(args.seconds)
            return
        time.sleep(max(0, start + count / args.fps - time.monotonic()))
        yield whole, picture


def embedded_head(args):
    kind = "multipart/x-mixed-replace; boundary=frame" if args.body == "multipart" else "video/h264"
    return lab.head("HTTP/1.1 200 OK", content_type=kind, cache_control="no-store")


def post_head(args, number, **more):
    return lab.head(f"POST /relay/{number} HTTP/1.1", host=args.relay, user_agent=args.agent,
                    content_type="message/http", **more)


def one_long_post(sock, number, camera, args):
    expect = {"expect": "100-continue"} if args.expect else {}
    sock.sendall(post_head(args, number, **lab.FRAMINGS[args.framing], **expect))
    if args.expect:
        await_continue(sock, args.expect)
    if args.camera_stops != 0 or args.camera_head:
        out = lab.BodyWriter(sock, args.framing)
        out.write(embedded_head(args))
    for _, picture in filmed(camera, args):
        out.write(picture)
    out.end()


def await_continue(sock, seconds):
    """Waits for the interim response (RFC 9110 section 10.1.1), but not for ever."""
    sock.settimeout(seconds)
    try:
        start, _ = lab.read_head(sock.makefile("rb"))
        if " 100 " not in start:
            raise ConnectionAbortedError(start)
    except TimeoutError:
        pass
    sock.settimeout(None)


def a_post_a_group(sock, number, camera, args):
    stream, group = sock.makefile("rb"), embedded_head(args)

    def flush(more):
        sock.sendall(post_head(args, number, content_length=len(group), x_more=more) + group)
        start, _ = lab.read_head(stream) or ("", {})
        if " 200 " not in start:
            raise ConnectionAbortedError(start)

    for count, (whole, picture) in enumerate(filmed(camera, args)):
        if whole and count:
            flush("1")
            group = b""
        group += picture
    flush("0")


def stream_video(number, scheme, camera, args):
    tls = scheme == "https"
    for _ in range(args.post_tries):
        sock = None
        try:
            sock = lab.connect(args.relay, 443 if tls else 80, tls, "relay", ["video-up"], proxy=args.proxy,
                               timeout=args.patience)
            lab.moment("post:begun", "TCP", sock.getsockname()[:2], sock.getpeername()[:2], args.relay)
            (one_long_post if args.posts == "one" else a_post_a_group)(sock, number, camera, args)
            return
        except OSError as error:
            print(f"recorder: {error}")  # the viewer left, and so the relay hung up; or someone is in the way
        finally:
            if sock:
                sock.close()
        time.sleep(args.retry)


def peer_to_peer(number, offer, camera, args):
    """Answers an offer through the relay and sends the video to the peer."""
    import p2p  # only here is aiortc needed

    def reply(text):
        body = lab.head("HTTP/1.1 200 OK", content_type="application/json", content_length=len(text)) + text
        with lab.connect(args.relay, 443, True, "relay", ["metadata"], proxy=args.proxy) as sock:
            sock.sendall(post_head(args, number, content_length=len(body)) + body)
            lab.read_head(sock.makefile("rb"))

    told = json.loads(base64.b64decode(urllib.parse.unquote(offer)))
    asyncio.run(p2p.answer(told, pictures(camera, args), args, reply))


def prepare(args):
    """What a recorder does as it starts, each on its own: whatever fails does not hold up the rest."""
    errands = {
        "ntp": lambda: ntp.ask(skew=args.skew),
        "licensing": lambda: web.fetch("https://activateapi.gp4f.com/v1/activate", "-A", args.agent, "-d", "{}"),
        "api": lambda: web.fetch("https://restapi.gp4f.com/v1/recorders", "-A", args.agent, "-d", "{}",
                                 proxy=args.proxy),
        "stun": lambda: stun.ask("stun.u5fgb.com"),
        "lsf": lambda: web.fetch("https://lsf.u5fgb.com/v1/addresses", "-A", args.agent),
    }
    for word in filter(None, args.before.split(",")):
        threading.Thread(target=run_errand, args=(word, errands[word]), daemon=True).start()
        time.sleep(0.15)


def run_errand(name, errand):
    try:
        errand()
    except OSError as error:
        print(f"recorder: {name}: {error}")


def control(args):
    """One life of the control connection."""
    tls = args.control_port == 443
    sock = lab.connect(args.relay, args.control_port, tls, "relay", ["idle"], proxy=args.proxy)
    ends = sock.getsockname()[:2], sock.getpeername()[:2]
    lab.moment("control:begun", "TCP", *ends, args.relay)
    sock.settimeout(args.patience)
    stream, dead = sock.makefile("rb"), time.monotonic() + args.control_life
    while time.monotonic() < dead:
        sent, wall = time.monotonic(), time.time()
        blob = random.randbytes(args.heartbeat_bytes)
        sock.sendall(lab.head(f"POST /control/{args.id} HTTP/1.1", host=args.relay, user_agent=args.agent,
                              content_type="application/octet-stream", content_length=len(blob)) + blob)
        try:
            message = lab.read_head(stream)
        except TimeoutError:
            lab.moment("control:silent", "TCP", *ends, args.relay, wall)
            break
        if message is None:
            break
        body = b"".join(lab.read_body(stream, {"content-length": "0"} | message[1]))
        if not body:
            time.sleep(max(0, sent + args.heartbeat_seconds - time.monotonic()))
            continue
        told = dict(line.split(": ", 1) for line in body.decode().split("\r\n")[1:] if ": " in line)
        camera = int(re.search(r"camera=(\d+)", body.decode())[1])
        asked = (told["X-View"], told["X-Scheme"], camera, args)
        if (offer := re.search(r"offer=(\S+)", body.decode())):
            threading.Thread(target=peer_to_peer, args=(asked[0], offer[1], camera, args), daemon=True).start()
            continue
        threading.Thread(target=stream_video, args=asked, daemon=True).start()
    lab.moment("control:lost", "TCP", *ends, args.relay)
    sock.close()


def switches():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--relay", required=True, metavar="HOST")
    parser.add_argument("--id", default="00451")
    parser.add_argument("--agent", default="recorder/1.0")
    parser.add_argument("--before", default="ntp,licensing,api,stun,lsf", help="what it asks for as it starts")
    parser.add_argument("--skew", type=float, default=0, help="seconds that its clock is off")
    parser.add_argument("--proxy", metavar="IP:PORT", help="an explicit proxy, by CONNECT")
    parser.add_argument("--retry", type=float, default=5, help="seconds until it tries again")
    parser.add_argument("--post-tries", type=int, default=1)
    parser.add_argument("--control-port", type=int, choices=[80, 443], default=443)
    parser.add_argument("--control-life", type=float, default=1e9, help="seconds until it hangs up and registers anew")
    parser.add_argument("--patience", type=float, default=30, help="seconds that it waits for the relay's answer")
    parser.add_argument("--heartbeat-seconds", type=float, default=5)
    parser.add_argument("--heartbeat-bytes", type=int, default=2200)
    parser.add_argument("--framing", choices=lab.FRAMINGS, default="chunked")
    parser.add_argument("--expect", type=float, metavar="SECONDS", help="asks first, and waits so long to be let go on")
    parser.add_argument("--posts", choices=["one", "many"], default="one")
    parser.add_argument("--body", choices=["multipart", "raw"], default="multipart")
    parser.add_argument("--kbps", type=lambda text: [int(word) for word in text.split(",")], default=[300],
                        help="of each camera, separated by commas")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--gop", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60, help="the longest that a view lasts")
    parser.add_argument("--camera-late", type=float, default=0, help="seconds until the first picture")
    parser.add_argument("--camera-stops", type=float, help="seconds until the last picture; 0: there is none")
    parser.add_argument("--camera-head", action="store_true", help="with --camera-stops 0: the embedded head is sent")
    parser.add_argument("--stun", default="stun.u5fgb.com", metavar="HOST", help="for peer-to-peer video")
    parser.add_argument("--second-port", type=int, default=0, help="ask it on this port as well")
    parser.add_argument("--turn", action="store_true", help="the STUN server also relays")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    args = switches()
    prepare(args)
    while True:
        try:
            control(args)
        except OSError as error:
            print(f"recorder: {error}")
        time.sleep(args.retry)


if __name__ == "__main__":
    main()
