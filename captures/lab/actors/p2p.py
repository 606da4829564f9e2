#!/usr/bin/env python3
"""Video from peer to peer: ICE with a STUN (or TURN) server, then SCTP straight in UDP, or WebRTC.

The viewer's offer and the recorder's answer travel through the relay, as an embedded request and its answer. What
carries the video is not published and so a choice: `sctp` (in the clear over UDP, its port the one that ICE probed),
`data` (a WebRTC data channel: DTLS around SCTP) or `media` (WebRTC media: DTLS, then SRTP).
"""

import argparse
import asyncio
import base64
import contextlib
import functools
import json
import os
import random
import sys
import time
import urllib.parse

import aioice
import aiortc
import av
from aiortc import rtcsctptransport

import lab

SCTP_PORT, STUN_PORT = 5000, 3478


class Flows:
    """Which 5-tuples this host's ICE sockets send on, so that the ledger tells those and no others."""

    def __init__(self, args):
        self.args, self.began, self.media = args, {}, set()
        protocol = aioice.ice.StunProtocol
        protocol.send_stun = self.watched(protocol.send_stun, False)
        protocol.send_data = self.watched(protocol.send_data, True)
        aioice.turn.TurnClientUdpProtocol._send = self.relayed(aioice.turn.TurnClientUdpProtocol._send)

    def relayed(self, send):
        @functools.wraps(send)
        def wrapper(this, data):
            ends = tuple(this.transport.get_extra_info(name)[:2] for name in ("sockname", "peername"))
            if ends not in self.began:
                self.began[ends] = time.time()
                lab.note("UDP", *ends, self.args.stun, "relay", ["turn"])
            return send(this, data)
        return wrapper

    def watched(self, send, media):
        @functools.wraps(send)
        def wrapper(this, data, addr):
            if isinstance(this.transport, aioice.turn.TurnTransport):
                return send(this, data, addr)
            ends = this.transport.get_extra_info("sockname")[:2], tuple(addr[:2])
            if ends not in self.began:
                self.began[ends] = time.time()
                self.note(ends)
            if media and ends not in self.media:
                self.media.add(ends)
                self.note(ends)
            return send(this, data, addr)
        return wrapper

    def note(self, ends):
        """Writes a flow down; once more, which replaces the first, when media goes over it."""
        wire = "sctp-udp" if self.args.kind == "sctp" else "webrtc"
        lan = all(address.startswith(("192.168.", "10.")) for address, _ in ends)
        if ends[1][1] in (STUN_PORT, self.args.second_port):
            lab.note("UDP", *ends, self.args.stun, "stun", [], self.began[ends])
        elif ends in self.media:
            lab.note("UDP", *ends, "", "p2p", ["lan" if lan else "wan", wire], self.began[ends])
        else:
            lab.note("UDP", *ends, "", "p2p", ["attempt"], self.began[ends])
            lab.moment("p2p:checked", "UDP", *ends, "")


class InClear:
    """What SCTP takes for a DTLS transport, without the DTLS."""

    def __init__(self, ice, role):
        self.ice, self._role, self.state, self.receiver = ice, role, "connected", None

    async def _send_data(self, data):
        await self.ice.send(data)

    def _register_data_receiver(self, receiver):
        self.receiver = receiver

    def _unregister_data_receiver(self, _):
        self.receiver = None

    async def pump(self):
        while True:
            data = await self.ice.recv()
            if self.receiver:
                await self.receiver._handle_data(data)


class OverSctp:
    """A peer that speaks SCTP over what ICE has found."""

    def __init__(self, args, controlling):
        server = (lab.resolve(args.stun)[0], STUN_PORT)
        turn = {"turn_server": server, "turn_username": "lab", "turn_password": "lab",
                "transport_policy": aioice.TransportPolicy.RELAY} if args.turn else {}
        self.ice = aioice.Connection(ice_controlling=controlling, use_ipv6=False, stun_server=server, **turn)
        self.role = "client" if controlling else "server"
        self.second = (server[0], args.second_port) if args.second_port else None

    async def describe(self, _=None):
        await self.ice.gather_candidates()
        if self.second:  # the same sockets ask once more, elsewhere: as clients do who look for their NAT's mapping
            for protocol in self.ice._protocols:
                question = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
                await protocol.request(question, self.second)
        return {"user": self.ice.local_username, "password": self.ice.local_password,
                "candidates": [candidate.to_sdp() for candidate in self.ice.local_candidates]}

    async def hear(self, told):
        self.ice.remote_username, self.ice.remote_password = told["user"], told["password"]
        for text in told["candidates"]:
            await self.ice.add_remote_candidate(aioice.Candidate.from_sdp(text))
        await self.ice.add_remote_candidate(None)

    async def open(self):
        await self.ice.connect()
        below = InClear(self.ice, self.role)
        self.pump = asyncio.ensure_future(below.pump())
        self.sctp = rtcsctptransport.RTCSctpTransport(below, SCTP_PORT)
        arrived = asyncio.get_running_loop().create_future()
        self.sctp.on("datachannel", lambda channel: arrived.done() or arrived.set_result(channel))
        await self.sctp.start(aiortc.RTCSctpCapabilities(maxMessageSize=65536), SCTP_PORT)
        if self.role == "client":
            return aiortc.RTCDataChannel(self.sctp, aiortc.rtcdatachannel.RTCDataChannelParameters(label="video"))
        return await arrived

    async def close(self):
        if getattr(self, "sctp", None):
            await self.sctp.stop()
            self.pump.cancel()
        await self.ice.close()


class Camera(aiortc.mediastreams.VideoStreamTrack):
    """Blocks of grey that change at random, for the encoder to have something to do."""

    async def recv(self):
        moment, base = await self.next_timestamp()
        frame = av.VideoFrame(320, 240, "yuv420p")
        noise = random.Random(moment)
        for plane in frame.planes:
            blocks = plane.line_size // 16
            rows = (b"".join(bytes([shade]) * 16 for shade in noise.randbytes(blocks)) for _ in range(15))
            plane.update(b"".join(row * (plane.height // 15) for row in rows))
        frame.pts, frame.time_base = moment, base
        return frame


class OverWebRtc:
    """A peer that speaks WebRTC; the video goes in a data channel or as media."""

    def __init__(self, args, controlling):
        server = lab.resolve(args.stun)[0]
        servers = aiortc.RTCConfiguration([aiortc.RTCIceServer(f"stun:{server}:{STUN_PORT}")])
        self.peer, self.media = aiortc.RTCPeerConnection(servers), args.kind == "media"
        self.open_ = asyncio.get_event_loop().create_future()
        self.controlling = controlling
        self.channel = None
        if controlling:
            self.channel = self.peer.createDataChannel("video", ordered=True)
            self.channel.on("open", lambda: self.settle(self.channel))
            if self.media:
                self.peer.addTransceiver("video", direction="recvonly")
        self.peer.on("datachannel", self.settle)
        self.peer.on("connectionstatechange", self.changed)
        self.peer.on("track", self.drain)

    def settle(self, channel):
        if not self.open_.done():
            self.open_.set_result(channel)

    def changed(self):
        if self.peer.connectionState == "failed" and not self.open_.done():
            self.open_.set_exception(ConnectionError("ICE failed"))

    def drain(self, track):
        async def pull():
            with contextlib.suppress(aiortc.mediastreams.MediaStreamError):
                while True:
                    await track.recv()
        self.pull = asyncio.ensure_future(pull())

    async def describe(self, offer=None):
        if offer:
            if self.media:
                self.peer.addTrack(Camera())
            await self.peer.setLocalDescription(await self.peer.createAnswer())
        else:
            await self.peer.setLocalDescription(await self.peer.createOffer())
        return {"sdp": self.peer.localDescription.sdp, "type": self.peer.localDescription.type}

    async def hear(self, told):
        await self.peer.setRemoteDescription(aiortc.RTCSessionDescription(told["sdp"], told["type"]))

    async def open(self):
        return await self.open_

    async def close(self):
        await self.peer.close()


def peer(args, controlling):
    return (OverSctp if args.kind == "sctp" else OverWebRtc)(args, controlling)


async def send_pictures(channel, pictures, args, until):
    start, gone = time.monotonic(), 0
    for count, (_, picture) in enumerate(pictures):
        await asyncio.sleep(max(0, start + count / args.fps - time.monotonic()))
        if until() or channel.readyState != "open":
            break
        for at in range(0, len(picture), 16000):
            channel.send(picture[at:at + 16000])
            gone += 1
    return gone


async def answer(told, pictures, args, reply):
    """The recorder's part: hears an offer, hands its own description to `reply`, and sends pictures."""
    args.kind = told["kind"]
    Flows(args)
    end = peer(args, False)
    try:
        if args.kind == "sctp":
            own = await end.describe()
            await end.hear(told)
        else:
            await end.hear(told)
            own = await end.describe(told)
        await asyncio.to_thread(reply, json.dumps(own).encode())
        channel = await asyncio.wait_for(end.open(), 60)
        if args.kind == "media":
            while channel.readyState == "open":
                await asyncio.sleep(0.2)
        else:
            await send_pictures(channel, pictures, args, lambda: False)
    except (OSError, asyncio.TimeoutError) as error:
        print(f"recorder: no peer-to-peer: {error!r}", file=sys.stderr)
    finally:
        await end.close()


def exchange(args, offer):
    """Sends the offer through the relay and returns the answer that the recorder posts back."""
    sock = lab.connect(args.relay, 443, True, "relay", ["metadata"])
    text = urllib.parse.quote(base64.b64encode(json.dumps(offer).encode()), safe="")
    sock.sendall(lab.head(f"GET /view/{args.id}?camera=1&offer={text} HTTP/1.1", host=args.relay,
                          user_agent="viewer/1.0"))
    stream = sock.makefile("rb")
    _, headers = lab.read_head(stream)
    body = b"".join(lab.read_body(stream, headers))
    sock.close()
    return json.loads(body.partition(b"\r\n\r\n")[2])


async def watch(args):
    """The viewer's part: whether video came from the peer."""
    Flows(args)
    end, got = peer(args, True), 0

    def on_message(data):
        nonlocal got
        got += len(data)

    try:
        own = await end.describe()
        await end.hear(await asyncio.to_thread(exchange, args, own | {"kind": args.kind}))
        channel = await asyncio.wait_for(end.open(), args.patience)
        channel.on("message", on_message)
        end_at, before = time.monotonic() + args.seconds, -1
        while time.monotonic() < end_at:
            await asyncio.sleep(min(args.stall, max(0, end_at - time.monotonic())))
            if got == before and args.kind != "media":
                raise ConnectionError("the peer has fallen silent")
            before = got
    except (OSError, asyncio.TimeoutError) as error:
        print(f"viewer: no peer-to-peer: {error!r}")
        return False
    finally:
        await asyncio.wait_for(end.close(), 5)
    print(f"viewer: {got} bytes from the peer")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     epilog="Any other switch is viewer.py's, which is started if the peer stays away.")
    parser.add_argument("--relay", metavar="HOST", default="a1b2.us-west.u5fgb.com")
    parser.add_argument("--id", default="00451")
    parser.add_argument("--kind", choices=["sctp", "data", "media"], default="data")
    parser.add_argument("--stun", default="stun.u5fgb.com", metavar="HOST")
    parser.add_argument("--second-port", type=int, default=0, help="with sctp: ask the STUN server on this port as well")
    parser.add_argument("--turn", action="store_true", help="with sctp: by the server's relay alone (RFC 8656)")
    parser.add_argument("--patience", type=float, default=12, help="seconds until it gives the peer up")
    parser.add_argument("--stall", type=float, default=6, help="seconds of silence after which it gives the peer up")
    parser.add_argument("--seconds", type=float, default=10)
    args, rest = parser.parse_known_args()
    if not asyncio.run(watch(args)):
        view = os.path.join(os.path.dirname(os.path.realpath(__file__)), "viewer.py")
        os.execv(sys.executable, [sys.executable, "-u", view, "--relay", args.relay, "--seconds", str(args.seconds),
                                  *rest])


if __name__ == "__main__":
    main()
