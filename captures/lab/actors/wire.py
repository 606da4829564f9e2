#!/usr/bin/env python3
"""A long cable: carries frames between two interfaces of its host, each way after a delay, and may lose some.

It stands in for the kernel's netem, which many kernels lack, and has a seed, so that the same frames are lost.
Frames towards the second port go `out`, the others come `in`.
"""

import argparse
import heapq
import itertools
import random
import select
import socket
import time

ETH_P_ALL = 3
MAX_QUEUED = 4096


def open_port(name):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((name, ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.setblocking(False)
    return sock


class Lane:
    """One direction: decides when, and whether, each frame arrives."""

    def __init__(self, args, loss, rate, mtu, seed):
        self.args, self.loss, self.rate, self.mtu = args, loss, rate, mtu
        self.chance, self.idle, self.last = random.Random(seed), 0.0, 0.0

    def due(self, frame, now):
        """When the frame arrives; None if it does not."""
        if self.chance.random() < self.loss or (self.mtu and len(frame) > self.mtu + 14):
            return None
        sent = now
        if self.rate:
            sent = max(now, self.idle)
            if sent - now > self.args.queue / 1000:
                return None
            self.idle = sent = sent + len(frame) * 8 / (self.rate * 1000)
        due = sent + (self.args.delay + self.args.jitter * self.chance.random()) / 1000
        if not self.args.reorder:
            due = self.last = max(due, self.last)
        return due


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ports", nargs=2)
    parser.add_argument("--delay", type=float, default=0, help="milliseconds, each way")
    parser.add_argument("--jitter", type=float, default=0, help="milliseconds more, at random")
    parser.add_argument("--reorder", action="store_true", help="let jitter change the order")
    for way in ("out", "in"):
        parser.add_argument(f"--loss-{way}", type=float, default=0, help="share of frames lost, 0 to 1")
        parser.add_argument(f"--rate-{way}", type=float, default=0, help="kbit/s that fit; 0: any")
        parser.add_argument(f"--mtu-{way}", type=int, default=0, help="longest IP packet, larger ones vanish; 0: any")
    parser.add_argument("--queue", type=float, default=300, help="milliseconds that frames wait where the rate is full")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    ports = [open_port(name) for name in args.ports]
    lanes = [Lane(args, args.loss_out, args.rate_out, args.mtu_out, args.seed),
             Lane(args, args.loss_in, args.rate_in, args.mtu_in, args.seed + 1)]
    queue, order = [], itertools.count()
    while True:
        wait = max(0, queue[0][0] - time.monotonic()) if queue else None
        ready, _, _ = select.select(ports, [], [], wait)
        for port in ready:
            try:
                frame, (_, _, kind, _, _) = port.recvfrom(65536)
            except BlockingIOError:
                continue
            if kind == socket.PACKET_OUTGOING or len(queue) >= MAX_QUEUED:
                continue
            side = ports.index(port)
            if (due := lanes[side].due(frame, time.monotonic())) is not None:
                heapq.heappush(queue, (due, next(order), ports[1 - side], frame))
        while queue and queue[0][0] <= time.monotonic():
            _, _, port, frame = heapq.heappop(queue)
            port.send(frame)


if __name__ == "__main__":
    main()
