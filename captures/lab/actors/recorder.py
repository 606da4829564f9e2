#!/usr/bin/env python3
"""A recorder that keeps a control connection to the relay and answers each embedded request by reverse HTTP:
an outbound POST of Content-Type message/http whose body is an HTTP response with an endless body.

Assumed, and therefore switches: the framing of the POST, one long POST or one a group of pictures, the shape of the
video, the heartbeat's period and size (the default mean is the published 45 MB a day), and the control port.
"""

import argparse
import random
import re
import threading
import time

import lab

BOUNDARY = b"frame"


def pictures(camera, args):
    """Yields (begins a group, bytes): the camera's rate on average, the first of each group eight times larger."""
    noise = random.Random(args.seed)
    per_group = args.kbps[(camera - 1) % len(args.kbps)] * 125 * args.gop / args.fps
    small = max(64, int(per_group / (args.gop + 7)))
    for number in range(int(args.seconds * args.fps)):
        whole = number % args.gop == 0
        picture = (b"\0\0\0\1\x65" if whole else b"\0\0\0\1\x41") + noise.randbytes(small * (8 if whole else 1))
        if args.body == "multipart":
            picture = (b"--%s\r\nContent-Type: video/h264\r\nContent-Length: %d\r\n\r\n%s\r\n"
                       % (BOUNDARY, len(picture), picture))
        yield whole, picture


def embedded_head(args):
    kind = "multipart/x-mixed-replace; boundary=frame" if args.body == "multipart" else "video/h264"
    return lab.head("HTTP/1.1 200 OK", content_type=kind, cache_control="no-store")


def post_head(args, number, **more):
    return lab.head(f"POST /relay/{number} HTTP/1.1", host=args.relay, user_agent=args.agent,
                    content_type="message/http", **more)


def one_long_post(sock, number, camera, args):
    sock.sendall(post_head(args, number, **lab.FRAMINGS[args.framing]))
    out = lab.BodyWriter(sock, args.framing)
    out.write(embedded_head(args))
    start = time.monotonic()
    for count, (_, picture) in enumerate(pictures(camera, args)):
        time.sleep(max(0, start + count / args.fps - time.monotonic()))
        out.write(picture)
    out.end()


def a_post_a_group(sock, number, camera, args):
    stream, group, start = sock.makefile("rb"), embedded_head(args), time.monotonic()

    def flush(more):
        sock.sendall(post_head(args, number, content_length=len(group), x_more=more) + group)
        lab.read_head(stream)

    for count, (whole, picture) in enumerate(pictures(camera, args)):
        time.sleep(max(0, start + count / args.fps - time.monotonic()))
        if whole and count:
            flush("1")
            group = b""
        group += picture
    flush("0")


def stream_video(number, scheme, camera, args):
    tls = scheme == "https"
    sock = lab.connect(args.relay, 443 if tls else 80, tls, "relay", ["video-up"])
    try:
        (one_long_post if args.posts == "one" else a_post_a_group)(sock, number, camera, args)
    except OSError:
        pass  # the viewer left, and so the relay hung up
    finally:
        sock.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--relay", required=True, metavar="HOST")
    parser.add_argument("--id", default="00451")
    parser.add_argument("--agent", default="recorder/1.0")
    parser.add_argument("--control-port", type=int, choices=[80, 443], default=443)
    parser.add_argument("--heartbeat-seconds", type=float, default=5)
    parser.add_argument("--heartbeat-bytes", type=int, default=2200)
    parser.add_argument("--framing", choices=lab.FRAMINGS, default="chunked")
    parser.add_argument("--posts", choices=["one", "many"], default="one")
    parser.add_argument("--body", choices=["multipart", "raw"], default="multipart")
    parser.add_argument("--kbps", type=int, nargs="+", default=[800], help="of each camera")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--gop", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60, help="the longest that a view lasts")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    tls = args.control_port == 443
    sock = lab.connect(args.relay, args.control_port, tls, "relay", ["idle"])
    stream = sock.makefile("rb")
    while True:
        sent = time.monotonic()
        blob = random.randbytes(args.heartbeat_bytes)
        sock.sendall(lab.head(f"POST /control/{args.id} HTTP/1.1", host=args.relay, user_agent=args.agent,
                              content_type="application/octet-stream", content_length=len(blob)) + blob)
        message = lab.read_head(stream)
        if message is None:
            return
        body = b"".join(lab.read_body(stream, {"content-length": "0"} | message[1]))
        if not body:
            time.sleep(max(0, sent + args.heartbeat_seconds - time.monotonic()))
            continue
        told = dict(line.split(": ", 1) for line in body.decode().split("\r\n")[1:] if ": " in line)
        camera = int(re.search(r"camera=(\d+)", body.decode())[1])
        asked = (told["X-View"], told["X-Scheme"], camera, args)
        threading.Thread(target=stream_video, args=asked, daemon=True).start()


if __name__ == "__main__":
    main()
