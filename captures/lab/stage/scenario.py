"""Scenarios are data: scenarios/FAMILY.toml holds one table for each; README.md explains every key."""

import dataclasses
import glob
import itertools
import os
import re
import tomllib

SCENARIOS = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "scenarios")


@dataclasses.dataclass
class Expectation:
    """`KIND[/MODE] [once] [at MOMENT [HOST]]`: a finding, and the moment in the ledger at which its fault begins.

    One is expected of each host that has such a moment; with `once`, one in all, which names no host.
    """
    kind: str
    mode: str | None
    once: bool
    moment: str | None
    host: str

    @classmethod
    def parse(cls, text):
        match = re.fullmatch(r"([a-z0-9-]+)(?:/([a-z-]+))?( once)?(?: at (\S+)(?: (\S+))?)?", text)
        if not match:
            raise ValueError(f"not KIND[/MODE] [once] [at MOMENT [HOST]]: {text}")
        return cls(match[1], match[2], bool(match[3]), match[4], match[5] or "*")


@dataclasses.dataclass
class Scenario:
    family: str
    name: str
    purpose: str
    seconds: float
    vantages: list
    rules: list = dataclasses.field(default_factory=list)  # of the domain reference, that it is about
    steps: list = dataclasses.field(default_factory=list)
    recorder: str | bool = ""  # switches of actors/recorder.py; false: the scenario starts its own
    relay: str | bool = ""
    stun: str | bool = ""
    ntp: str | bool = ""
    region: str = "us-west"
    ipv6: bool = False
    cgnat: str = ""  # the network, /24, between the site's gateway and its provider's own NAT
    trusts_filter: bool = False  # whether clients trust the filter's CA
    wires: dict = dataclasses.field(default_factory=dict)
    gateway: dict = dataclasses.field(default_factory=dict)
    home: dict = dataclasses.field(default_factory=dict)  # the viewer's gateway
    cloud: dict = dataclasses.field(default_factory=dict)
    mirror: dict = dataclasses.field(default_factory=dict)
    snaplen: dict = dataclasses.field(default_factory=dict)
    capture_after: float = 0
    resolver: dict = dataclasses.field(default_factory=dict)  # host -> DNS server, other than its gateway
    files: dict = dataclasses.field(default_factory=dict)  # name -> text, in LAB_RUN
    far: bool = False
    packages: list = dataclasses.field(default_factory=list)
    expect: dict = dataclasses.field(default_factory=dict)

    def expected(self, vantage, word):
        return [Expectation.parse(text) for text in self.expect.get(vantage, {}).get(word, [])]


def table():
    """The scenarios as they stand in captures/README.md."""
    known, lines = load_all(), []
    for family in dict.fromkeys(one.family for one in known.values()):
        with open(os.path.join(SCENARIOS, family + ".toml"), encoding="utf-8") as file:
            head = itertools.takewhile(lambda line: line.startswith("#"), file.readlines())
        lines += [f"### `{family}/`\n", " ".join(line[1:].strip() for line in head),
                  "\n| scenario | at | rules | shows |\n|---|---|---|---|"]
        lines += [f"| `{one.name}` | {' '.join(one.vantages)} | {' '.join(one.rules) or '–'} | {one.purpose} |"
                  for one in known.values() if one.family == family]
        lines.append("")
    return "\n".join(lines)


def load_all():
    """Every scenario by name; a family's table `defaults` holds for all of it."""
    found = {}
    for path in sorted(glob.glob(os.path.join(SCENARIOS, "*.toml"))):
        family = os.path.basename(path).removesuffix(".toml")
        with open(path, "rb") as file:
            tables = tomllib.load(file)
        defaults = tables.pop("defaults", {})
        for name, table in tables.items():
            if name in found:
                raise ValueError(f"{name} is in {found[name].family}.toml and in {path}")
            found[name] = Scenario(family=family, name=name, **defaults | table)
            strange = set(found[name].expect) - set(found[name].vantages)
            if strange:
                raise ValueError(f"{name} expects something at {strange}, where nothing is captured")
    return found
