"""Who is where. A customer's site behind a NAT gateway, a router that is the internet, the vendor's cloud, and a
viewer's home behind a NAT gateway of its own:

  rec    192.168.1.50 ─┐                                              ┌─ cloud 198.51.100.0/24
  cam    192.168.1.60 ─┤                          (isp)               ├─ (far 198.18.0.10)
  pc     192.168.1.70 ─┼─ sw ═ gw 192.168.1.1 │ 203.0.113.7 ── inet ──┤
  panel  192.168.1.80 ─┘   ▲   gw 192.168.2.1 ── pc2 192.168.2.70     │
                           └ vantage `recorder`                       └─ vgw 192.0.2.60 │ 10.20.0.1 ═ vsw ─┐
                                                                                     viewer 10.20.0.60 ────┘

Addresses are those set aside for documentation (RFC 5737, RFC 3849), so nothing that leaks could reach anyone.
"""

from stage import net

CLOUD = "198.51.100."
CLOUD6 = "2001:db8:c::"
# Vantage -> host and interface that tcpdump listens on.
VANTAGES = {
    "recorder": ("sw", "uplink"),  # the mirror of the site switch's uplink, before NAT
    "recorder-port": ("sw", "rec"),  # the mirror of the recorder's own port
    "lan": ("sw", "rec,cam,pc,panel,uplink"),  # every port of the site's switch, each frame once
    "recorder-wan": ("gw", "wan"),
    "any": ("gw", "any"),  # every interface of the site's gateway at once
    "viewer": ("vsw", "uplink"),
    "viewer-wan": ("vgw", "wan"),
}
# One capture of several vantages, their frames in the order of time: what who has both sites' captures merges.
TOGETHER = {"sites": ("recorder", "viewer")}
FAR = "198.18.0."  # another region of the cloud (RFC 2544)
HAULS = {"cloud": "--delay 9", "viewer": "--delay 14", "far": "--delay 70", "site": ""}
NAT = {"independent": "masquerade", "dependent": "masquerade fully-random"}


def build(scenario):
    six = scenario.ipv6
    for name, dns in {"rec": "192.168.1.1", "cam": "192.168.1.1", "pc": "192.168.1.1", "panel": "192.168.1.1",
                      "pc2": "192.168.2.1", "viewer": "10.20.0.1"}.items():
        net.host(name, dns, six)
    for name in ("sw", "vsw"):
        net.host(name)
    for name in ("gw", "vgw", "inet", "cloud"):
        net.host(name, CLOUD + "53", six)

    lan("sw", "192.168.1.", "gw", "lan", {"rec": 50, "cam": 60, "pc": 70, "panel": 80})
    lan("vsw", "10.20.0.", "vgw", "lan", {"viewer": 60})
    net.cable("gw", "lan2", "pc2", "eth0")
    net.address("gw", "lan2", "192.168.2.1/24")
    net.address("pc2", "eth0", "192.168.2.70/24")
    net.ip("pc2", "route", "add", "default", "via", "192.168.2.1")

    for name, server in scenario.resolver.items():
        net.resolver(name, server)
    hauls = HAULS | scenario.wires
    uplink("vgw", "inet", "home", "192.0.2.60", "192.0.2.1", hauls["viewer"])
    if scenario.cgnat:
        net.host("isp", CLOUD + "53")
        uplink("gw", "isp", "customer", scenario.cgnat + "2", scenario.cgnat + "1", "")
        uplink("isp", "inet", "site", "203.0.113.7", "203.0.113.1", hauls["site"])
        gateway("isp", {}, "customer")
    else:
        uplink("gw", "inet", "site", "203.0.113.7", "203.0.113.1", hauls["site"])
    net.wire("inet", "vendor", "cloud", "eth0", hauls["cloud"])
    net.address("inet", "vendor", CLOUD + "1/24")
    net.address("cloud", "eth0", CLOUD + "53/24")
    net.ip("cloud", "route", "add", "default", "via", CLOUD + "1")
    net.sysctl("inet", net__ipv4__ip_forward=1)
    if scenario.far:
        net.host("far", CLOUD + "53")
        net.wire("inet", "abroad", "far", "eth0", hauls["far"])
        net.address("inet", "abroad", FAR + "1/24")
        net.address("far", "eth0", FAR + "10/24")
        net.ip("far", "route", "add", "default", "via", FAR + "1")
    if six:
        build6()
    gateway("gw", scenario.gateway, "lan*")
    gateway("vgw", scenario.home, "lan")


def lan(switch, prefix, router, port, members):
    """A switch with a router's port on `uplink` and each member's port under the member's name."""
    net.ip(switch, "link", "add", "br0", "type", "bridge")
    net.ip(switch, "link", "set", "br0", "up")
    net.cable(router, port, switch, "uplink")
    net.ip(switch, "link", "set", "uplink", "master", "br0")
    net.address(router, port, prefix + "1/24")
    for name, number in members.items():
        net.cable(name, "eth0", switch, name)
        net.ip(switch, "link", "set", name, "master", "br0")
        net.address(name, "eth0", f"{prefix}{number}/24")
        net.ip(name, "route", "add", "default", "via", prefix + "1")


def uplink(router, provider, port, own, theirs, switches):
    net.wire(router, "wan", provider, port, switches)
    net.address(router, "wan", own + "/24")
    net.address(provider, port, theirs + "/24")
    net.ip(router, "route", "add", "default", "via", theirs)


def gateway(name, switches, inside):
    """NAT, a stateful firewall, and chains into which a scenario puts its rules:
    `filter` (forwarded), `own` (to the gateway), `out` (from it), `dstnat` (redirects, forwarded ports)."""
    net.sysctl(name, net__ipv4__ip_forward=1)
    nat = NAT[switches.get("nat", "independent")]
    rules = "\n".join(f"add rule inet site {rule}" for rule in switches.get("nft", []))
    net.nft(name, f"""
table inet site {{
  chain filter {{ type filter hook forward priority filter; policy accept; }}
  chain own {{ type filter hook input priority filter; policy accept; }}
  chain out {{ type filter hook output priority filter; policy accept; }}
  chain dstnat {{ type nat hook prerouting priority dstnat; policy accept; }}
  chain srcnat {{ type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" meta nfproto ipv4 {nat}
    ct status dnat iifname "{inside}" oifname "{inside}" masquerade
  }}
  chain stateful {{ type filter hook forward priority 10; policy drop;
    iifname "{inside}" accept
    ct state established,related accept
    ct status dnat accept
    meta l4proto ipv6-icmp accept
  }}
}}
{rules}
""")
    log = net.write(f"nat.{name}", "")
    with open(log, "w", encoding="ascii") as file:
        net.start(name, ["conntrack", "-E", "-e", "NEW", "-b", "1048576"], stdout=file)


def build6():
    """IPv6 without translation, as IPv6 is: a prefix for the site, one for the cloud, one for the viewer."""
    for router, port, member, prefix in (("gw", "lan", "rec", "2001:db8:1::"), ("vgw", "lan", "viewer", "2001:db8:2::"),
                                         ("inet", "vendor", "cloud", CLOUD6)):
        net.address(router, port, prefix + "1/64")
        if member != "cloud":
            net.address(member, "eth0", prefix + "50/64")
        net.sysctl(router, net__ipv6__conf__all__forwarding=1)
    for router, port, prefix, network in (("gw", "site", "2001:db8:a1::", "2001:db8:1::/64"),
                                          ("vgw", "home", "2001:db8:a2::", "2001:db8:2::/64")):
        net.address(router, "wan", prefix + "7/64")
        net.address("inet", port, prefix + "1/64")
        net.ip("inet", "route", "add", network, "via", prefix + "7")
        net.ip(router, "route", "add", "default", "via", prefix + "1")
    net.ip("rec", "route", "add", "default", "via", "2001:db8:1::1")
    net.ip("viewer", "route", "add", "default", "via", "2001:db8:2::1")
