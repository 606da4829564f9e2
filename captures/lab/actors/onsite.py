#!/usr/bin/env python3
"""What else is on the recorder's LAN: a camera that it reads by RTSP (RFC 2326), and an alarm panel that reports to it.

  onsite.py camera                    serves RTSP on 554, RTP inside the connection (section 10.12)
  onsite.py watch ADDRESS             reads that camera
  onsite.py listen                    takes the panel's events in, on 2001
  onsite.py panel ADDRESS             reports to the recorder
"""

import argparse
import random
import socket
import struct
import threading
import time

import lab


def rtsp_head(start, number, **more):
    return lab.head(start, cseq=number, **more)


def camera_session(sock, args):
    stream = sock.makefile("rb")
    sdp = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    while (message := lab.read_head(stream)):
        method, number = message[0].split(" ")[0], message[1].get("cseq", "0")
        if method == "DESCRIBE":
            sock.sendall(rtsp_head("RTSP/1.0 200 OK", number, content_type="application/sdp", content_length=len(sdp))
                         + sdp)
        elif method == "SETUP":
            sock.sendall(rtsp_head("RTSP/1.0 200 OK", number, session="7", transport="RTP/AVP/TCP;interleaved=0-1"))
        else:
            sock.sendall(rtsp_head("RTSP/1.0 200 OK", number, session="7"))
        if method == "PLAY":
            break
    start = time.monotonic()
    for number in range(int(args.seconds * 15)):
        packet = struct.pack("!BBHII", 0x80, 96, number & 0xFFFF, number * 6000, 7) + random.randbytes(9) * 110
        sock.sendall(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
        time.sleep(max(0, start + number / 15 - time.monotonic()))


def camera(args):
    with socket.create_server(("0.0.0.0", 554)) as server:
        while True:
            threading.Thread(target=quietly, args=(camera_session, server.accept()[0], args), daemon=True).start()


def quietly(session, sock, args):
    try:
        session(sock, args)
    except OSError:
        pass  # the other side has left
    finally:
        sock.close()


def watch(args):
    sock = lab.connect(args.address, 554, False, "camera", [])
    stream, url = sock.makefile("rb"), f"rtsp://{args.address}/stream1"
    for number, (method, more) in enumerate((("OPTIONS", {}), ("DESCRIBE", {"accept": "application/sdp"}),
                                             ("SETUP", {"transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}),
                                             ("PLAY", {"session": "7"})), 1):
        sock.sendall(rtsp_head(f"{method} {url} RTSP/1.0", number, **more))
        _, headers = lab.read_head(stream)
        stream.read(int(headers.get("content-length", 0)))
    while stream.read(4096):
        pass


def listen(_):
    with socket.create_server(("0.0.0.0", 2001)) as server:
        while True:
            threading.Thread(target=quietly, args=(lambda sock, _: sock.recv(64) and sock.sendall(b"\x06"),
                                                   server.accept()[0], None), daemon=True).start()


def panel(args):
    end = time.monotonic() + args.seconds
    while time.monotonic() < end:
        with lab.connect(args.address, 2001, False, "dmp", []) as sock:
            sock.sendall(b"\x02    1 Zq\\060\\t \"OP\\v 001\\z 003 FRONT DOOR\\\r")
            sock.recv(16)
        time.sleep(args.every)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["camera", "watch", "listen", "panel"])
    parser.add_argument("address", nargs="?")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--every", type=float, default=7)
    args = parser.parse_args()
    {"camera": camera, "watch": watch, "listen": listen, "panel": panel}[args.part](args)


if __name__ == "__main__":
    main()
