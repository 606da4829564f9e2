"""What the cloud runs: DNS by dnsmasq, web servers by nginx, and our relay, STUN and NTP."""

import json
import os
import subprocess
import typing

from stage import net
from stage.topology import CLOUD, CLOUD6

class Service(typing.NamedTuple):
    number: int  # the last of its address
    cls: str
    subclass: list
    protocols: str | None = None  # TLS versions of nginx, if nginx serves it
    location: str | None = None  # nginx's


JSON = "default_type application/json; client_max_body_size 1m; return 200 '%s';"
STORE = f"root {net.RUN}/s3; dav_methods PUT; create_full_put_path on; client_max_body_size 64m;"
BOTH = "TLSv1.2 TLSv1.3"


def services(region):
    """What the cloud knows, by name."""
    rows = {
        "oe-prod-media.s3.us-west-2.amazonaws.com": (30, "s3", ["vendor"], BOTH, STORE),
        "oe-prod-devmon.s3.us-west-2.amazonaws.com": (30, "s3", ["vendor"], BOTH, STORE),
        "oe-prod-files.s3.amazonaws.com": (30, "s3", ["vendor"], BOTH, STORE),
        f"a1b2.{region}.u5fgb.com": (10, "relay", []),
        "restapi.gp4f.com": (20, "api", [], BOTH, JSON % '{"registered":true}'),
        "activateapi.gp4f.com": (21, "licensing", [], "TLSv1.2", JSON % '{"licences":16}'),
        "ows.openeye.net": (22, "login", [], BOTH, JSON % '{"session":"lab"}'),
        "lsf.u5fgb.com": (23, "lsf-control", [], BOTH, JSON % '{"local":"192.168.1.50"}'),
        "oe-cpos1.gp4f.com": (24, "pos", [], BOTH, JSON % '{"stored":1}'),
        "assist.dvrsupportcenter.com": (25, "remote-assist", [], BOTH, JSON % '{"session":"open"}'),
        "hw.mymanagedvideo.com": (26, "reportstar", [], BOTH, JSON % "{}"),
        "arecontvision-ws.com": (27, "login", [], BOTH, JSON % '{"session":"lab"}'),
        "backups.s3.us-west-2.amazonaws.com": (30, "s3", ["other"], BOTH, STORE),
        "serverupdates.net": (31, "update", ["wsus"], BOTH, JSON % "{}"),
        "ctldl.windowsupdate.com": (32, "update", ["ctl"], BOTH, JSON % "{}"),
        "stun.u5fgb.com": (40, "stun", []),
        "1.cctv.pool.ntp.org": (41, "ntp", []),
        "dns.google": (43, "dns", [], BOTH, JSON % "{}"),
        "www.example.com": (60, "unknown", [], BOTH, "default_type text/html; return 200 '<p>example</p>';"),
        "cdn.example.net": (61, "unknown", [], BOTH, "default_type text/css; return 200 'p{}';"),
        "portal.example.org": (62, "unknown", [], "TLSv1.2", "default_type text/html; return 200 '<p>portal</p>';"),
    }
    return {name: Service(*row) for name, row in rows.items()}


def serve(scenario):
    """Starts everything and waits until it listens; writes hosts.json, by which actors know what a name is for."""
    known = services(scenario.region)
    purposes = {name: {"class": one.cls, "subclass": one.subclass} for name, one in known.items()}
    net.write("hosts.json", json.dumps(purposes))
    numbers = sorted({one.number for one in known.values()} | set(scenario.cloud.get("more", [])))
    net.address("cloud", "eth0", *[f"{CLOUD}{number}/24" for number in numbers])
    if scenario.ipv6:
        net.address("cloud", "eth0", *[f"{CLOUD6}{number}/64" for number in numbers])
        net.ip("cloud", "route", "add", "default", "via", CLOUD6 + "1")
    make_cas(scenario.trusts_filter)
    dns(scenario, known)
    web(known, scenario)
    for name in scenario.cloud.get("certificates", []):
        certificate(name)
    wild = certificate(f"*.{scenario.region}.u5fgb.com")
    for actor, switches, words in (
            ("relay.py", scenario.relay, ["--address", CLOUD + "10", "--cert", wild + ".pem", "--key", wild + ".key"]),
            ("stun.py", scenario.stun, ["serve", CLOUD + "40"]),
            ("ntp.py", scenario.ntp, ["serve", CLOUD + "41"])):
        if switches is not False:
            net.start("cloud", [actor, *words, *str(switches).split()])
    if scenario.relay is not False:
        net.await_port("cloud", 443, CLOUD + "10")


def note_services(scenario, write):
    """What a flow to each service is for, where the one that opens it cannot say: it is known by its address."""
    for name, one in services(scenario.region).items():
        for prefix in (CLOUD, CLOUD6):
            write({"service": prefix + str(one.number), "name": name, "class": one.cls,
                   "subclass": one.subclass if one.cls != "s3" else []})
    for resolver in ("192.168.1.1", "192.168.2.1", "10.20.0.1", CLOUD + "53"):
        write({"service": resolver, "dest_port": 53, "name": "", "class": "dns", "subclass": []})


def make_cas(trusts_filter):
    """The CA that signs the cloud's certificates, the one that a filter signs with, and what clients trust of both."""
    trusted = ""
    for name, subject in (("ca", "/O=Lab Trust/CN=Lab Root CA"),
                          ("filter-ca", "/O=Example School/CN=Filter Inspection CA")):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-keyout", name + ".key", "-days", "30", "-out", name + ".pem", "-subj", subject],
                       cwd=net.RUN, check=True, stderr=subprocess.DEVNULL)
        if name == "ca" or trusts_filter:
            with open(os.path.join(net.RUN, name + ".pem"), encoding="ascii") as file:
                trusted += file.read()
    net.write("trust.pem", trusted)


def certificate(name, expired=False):
    """A certificate of the lab's CA, of a month or of one long past; returns its path without .pem and .key."""
    path = os.path.join(net.RUN, name)
    names = net.write(name + ".ext", f"subjectAltName=DNS:{name}\n")
    request = subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                              "-keyout", path + ".key", "-subj", f"/CN={name}"],
                             capture_output=True, check=True).stdout
    sign = ["x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "30", "-extfile", names]
    if expired:  # only `openssl ca` takes dates
        net.write("index.txt", "")
        conf = net.write("ca.conf", "[ca]\ndefault_ca=lab\n[lab]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes"
                         "\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n")
        sign = ["ca", "-batch", "-notext", "-config", conf, "-cert", "ca.pem", "-keyfile", "ca.key",
                "-in", "/dev/stdin", "-startdate", "20260101000000Z", "-enddate", "20260201000000Z", "-extfile", names]
    subprocess.run(["openssl", *sign, "-out", path + ".pem"], input=request, cwd=net.RUN, check=True,
                   stderr=subprocess.DEVNULL)
    return path


def dns(scenario, known):
    """The names in the cloud, and a forwarder on each gateway; `dns` in a gateway's table are lines of dnsmasq's."""
    records = ["local=/#/"]
    for name, one in known.items():
        owner, ttl = name, 60
        if one.cls == "s3":
            owner, ttl = "s3-r-w.us-west-2.amazonaws.com", 5
            records.append(f"cname={name},{owner},300")
        six = f",{CLOUD6}{one.number}" if scenario.ipv6 and one.cls not in ("ntp", "stun") else ""
        records.append(f"host-record={owner},{CLOUD}{one.number}{six},{ttl}")
    dnsmasq("cloud", [CLOUD + "53"], dict.fromkeys(records) | dict.fromkeys(scenario.cloud.get("dns", [])))
    forward = [f"server={CLOUD}53", "cache-size=1000"]
    for name, listen, switches in (("gw", ["192.168.1.1", "192.168.2.1"], scenario.gateway),
                                   ("vgw", ["10.20.0.1"], scenario.home)):
        if switches.get("dns") is not False:
            dnsmasq(name, listen, switches.get("dns", []) + forward)


def dnsmasq(name, addresses, lines):
    conf = net.write(f"dns.{name}", "\n".join(lines) + "\n")
    net.start(name, ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--bind-interfaces",
                     *[f"--listen-address={address}" for address in addresses], "--user=root", "--pid-file=",
                     f"--log-facility={net.RUN}/dns.{name}.log", f"--conf-file={conf}"])


def web(known, scenario):
    os.makedirs(os.path.join(net.RUN, "s3"), exist_ok=True)
    temps = "\n".join(f"{kind}_temp_path {net.RUN}/temp;" for kind in
                      ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    servers = "\n".join(server(name, one, scenario) for name, one in known.items() if one.location)
    conf = net.write("nginx.conf", f"""
user root; worker_processes 1; pid {net.RUN}/nginx.pid; error_log {net.RUN}/nginx.log; daemon off;
events {{}}
http {{
access_log off; server_tokens off; {temps}
{servers}
}}
""")
    net.start("cloud", ["nginx", "-e", f"{net.RUN}/nginx.log", "-c", conf])
    net.await_port("cloud", 443, CLOUD + "20")


def server(name, service, scenario):
    path = certificate(name, name in scenario.cloud.get("expired", []))
    listens = [f"{CLOUD}{service.number}"] + ([f"[{CLOUD6}{service.number}]"] if scenario.ipv6 else [])
    lines = [f"listen {address}:{port};" for address in listens for port in ("80", "443 ssl")]
    if name == "serverupdates.net":
        lines += [f"listen {address}:8531 ssl;" for address in listens]
    extra = scenario.cloud.get("nginx", {}).get(name, "")
    return (f"server {{ server_name {name}; {' '.join(lines)} ssl_certificate \"{path}.pem\"; "
            f"ssl_certificate_key \"{path}.key\"; ssl_protocols {service.protocols}; {extra} "
            f"location / {{ {service.location} }} }}")
