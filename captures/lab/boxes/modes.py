"""What a filter may do with the bytes of a body that it holds.

Each mode is a function of a `Bag`, which fills from one side, a `send` towards the other side, and its options. A
mode ends when the body has been dealt with; what it has not sent by then is not sent. Options come from the command
line as `NAME:key=value,...`; these three mean the same everywhere:

headers=1      let the header through at once and hold only the body
limit=BYTES    stop reading when so much is held: the window of that side closes
only=TYPE      touch only bodies of this media type
"""

import collections
import threading
import time

NEVER = 1 << 60


class Gone(Exception):
    """The side that would receive has left."""


class Bag:
    """Pieces that came in and have not gone out yet."""

    def __init__(self, limit, gone, full=lambda: None):
        self.pieces, self.size, self.total, self.ended = collections.deque(), 0, 0, False
        self.limit, self.gone, self.full = limit, gone, full
        self.change = threading.Condition()

    def put(self, data):
        with self.change:
            self.pieces.append(data)
            self.size += len(data)
            self.total += len(data)
            self.change.notify_all()
            if self.size >= self.limit:
                self.full()
            while self.size >= self.limit and not self.ended:
                self.change.wait(0.5)
            return not self.ended

    def end(self):
        with self.change:
            self.ended = True
            self.change.notify_all()

    def wait(self, enough=lambda bag: False, seconds=NEVER):
        """Waits until `enough`, the end of the body, or so many seconds; tells whether the body goes on."""
        due = time.monotonic() + seconds
        with self.change:
            while not self.ended and not enough(self) and (left := due - time.monotonic()) > 0:
                self.change.wait(min(left, 0.5))
                if self.gone():
                    raise Gone
            return not self.ended

    def take(self, size=NEVER):
        """The first `size` bytes, or all there are."""
        out = bytearray()
        with self.change:
            while self.pieces and len(out) < size:
                piece = self.pieces.popleft()
                keep = size - len(out)
                out += piece[:keep]
                if len(piece) > keep:
                    self.pieces.appendleft(piece[keep:])
            self.size -= len(out)
            self.change.notify_all()
        return bytes(out)

    def take_piece(self):
        with self.change:
            piece = self.pieces.popleft()
            self.size -= len(piece)
            self.change.notify_all()
        return piece


def fill(bag, source, chunked):
    """Puts the pieces of a body into a bag, as they come; a broken body ends there."""
    try:
        for piece in source:
            if not piece or not bag.put(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece):
                break
        else:
            if chunked:
                bag.put(b"0\r\n\r\n")
    except (OSError, ValueError):
        pass
    bag.end()


def live(bag, send, _):
    """Passes everything on as it comes."""
    while bag.wait(lambda bag: bag.size):
        send(bag.take())
    send(bag.take())


def buffer_all(bag, send, _):
    """Holds everything until the body ends."""
    bag.wait()
    send(bag.take())


def trickle(bag, send, o):
    """Comfort bytes: `amount` every `every` seconds, each wait `growth` times the one before; all of it once `bytes`
    have come in or after `seconds`."""
    wait, start = o.get("every", 10), time.monotonic()
    while bag.wait(lambda bag: bag.total >= o.get("bytes", NEVER), seconds=wait):
        if bag.total >= o.get("bytes", NEVER) or time.monotonic() - start >= o.get("seconds", NEVER):
            return live(bag, send, o)
        send(bag.take(int(o.get("amount", 1))))
        wait *= o.get("growth", 1)
    send(bag.take())


def plateau(bag, send, o):
    """Nothing for `seconds`, then `amount` bytes every `every` seconds, for good: a scanner's paced partial answer."""
    bag.wait(seconds=o.get("seconds", 10))
    due = time.monotonic()
    while not bag.ended or bag.size:
        send(bag.take(int(o.get("amount", 4096))))
        due += o.get("every", 1)
        bag.wait(seconds=max(0, due - time.monotonic()))
        if bag.ended:
            time.sleep(max(0, due - time.monotonic()))


def hold_release(bag, send, o):
    """Holds until `bytes` or `seconds`, lets all of it go at once, and runs live from then on."""
    bag.wait(lambda bag: bag.size >= o.get("bytes", NEVER), seconds=o.get("seconds", NEVER))
    live(bag, send, o)


def drip(bag, send, o):
    """Holds for `seconds`, lets a first block of `step` bytes go, drips `share` of what comes in for `drip` seconds,
    then lets all go and runs live."""
    bag.wait(seconds=o.get("seconds", 5))
    send(bag.take(int(o.get("step", 8192))))
    due, seen = time.monotonic() + o.get("drip", 10), bag.total
    while time.monotonic() < due and bag.wait(seconds=o.get("every", 1)):
        send(bag.take(int((bag.total - seen) * o.get("share", 0.05))))
        seen = bag.total
    live(bag, send, o)


def lag_one(bag, send, _):
    """Holds each piece until the next has come."""
    while bag.wait(lambda bag: len(bag.pieces) > 1):
        send(bag.take_piece())
    send(bag.take())


def swallow(bag, _, o):
    """Takes everything in and passes nothing on; with a `limit` it stops taking, too."""
    while bag.wait(lambda bag: bag.size):
        if "limit" not in o:
            bag.take()


MODES = {
    "live": live,
    "buffer-all": buffer_all,
    "trickle": trickle,
    "plateau": plateau,
    "hold-release": hold_release,
    "drip": drip,
    "lag-one": lag_one,
    "swallow": swallow,
}


def parse(text):
    """(name, options) of `NAME:key=value,...`; numbers as numbers."""
    name, _, rest = text.partition(":")
    options = {}
    for pair in filter(None, rest.split(",")):
        key, _, value = pair.partition("=")
        try:
            options[key] = float(value)
        except ValueError:
            options[key] = value
    return name, options
