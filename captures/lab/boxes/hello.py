"""The server name of a TLS ClientHello."""

import struct


def sni(hello):
    """The name that a ClientHello at the start of one record asks for (RFC 8446 4.1.2, RFC 6066 3), or None."""
    if len(hello) < 44 or hello[0] != 22 or hello[5] != 1:
        return None
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + struct.unpack_from("!H", hello, at)[0]
    at += 1 + hello[at]
    end = min(len(hello), at + 2 + struct.unpack_from("!H", hello, at)[0])
    at += 2
    while at + 4 <= end:
        kind, size = struct.unpack_from("!HH", hello, at)
        if kind == 0:
            return hello[at + 9:at + 4 + size].decode("ascii")
        at += 4 + size
    return None
