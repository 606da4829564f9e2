# shellcheck shell=bash
# The lab's stage: one sealed set of namespaces that ends with its first process, whatever ends that.
#
# A scenario sources this file and calls, in this order: lab_seal "$@", lab_topology, lab_services, capture,
# its own actors by `on HOST …`, lab_stop and truth. Nothing here reaches the machine's own network: the sealed
# network namespace has no way out, and names, sockets and files of the host's resolver are covered up.

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CAPTURES=$(readlink -f "${LAB_OUT:-$LAB/..}") # where captures and truth go

say() { printf 'lab: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# Starts the scenario afresh inside its own network, mount and process namespaces; all its processes, links and
# mounts go when it ends, even by a kill.
lab_seal() {
  local tool missing=()
  [ "$(id -u)" = 0 ] || die "run it as root: it makes network namespaces"
  for tool in ip nft ethtool dnsmasq nginx tcpdump tshark editcap openssl curl python3 unshare nsenter sysctl pkill; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} = 0 ] || die "missing: ${missing[*]} (apt-get install -y iproute2 nftables ethtool dnsmasq-base" \
    "nginx-light tcpdump tshark openssl curl python3 util-linux procps)"
  if [ "${LAB_SEALED:-}" != 1 ] || [ $$ != 1 ]; then
    LAB_SEALED=1 exec unshare --net --mount --pid --fork --kill-child --mount-proc "$LAB/$(basename "$0")" "$@"
  fi
  mount -t tmpfs lab /run
  RUN=/run/lab
  mkdir -p "$RUN"
  touch "$RUN/ledger"
  chmod 755 "$RUN"
  export LAB_LEDGER=$RUN/ledger LAB_CA=$RUN/ca.pem TMPDIR=$RUN PYTHONDONTWRITEBYTECODE=1
  # A private resolv.conf and hosts file; getaddrinfo asks nobody but the namespace's own DNS server.
  RESOLV=$(readlink -f /etc/resolv.conf || echo /etc/resolv.conf)
  mkdir -p "$(dirname "$RESOLV")" && touch "$RESOLV"
  printf '127.0.0.1 localhost\n' >"$RUN/hosts" && mount --bind "$RUN/hosts" /etc/hosts
  printf 'hosts: files dns\n' >"$RUN/nsswitch" && mount --bind "$RUN/nsswitch" /etc/nsswitch.conf
}

# on HOST COMMAND…  runs a command in a host of the lab, with that host's resolver.
on() {
  local host=$1
  shift
  # shellcheck disable=SC2016 # the inner shell's variables
  nsenter --net="/run/netns/$host" unshare --mount -- \
    sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$RUN/resolv.$host" "$RESOLV" "$@"
}

# actor HOST NAME.py …  runs one of the actors.
actor() {
  local host=$1 name=$2
  shift 2
  on "$host" python3 -u "$LAB/actors/$name" "$@"
}

# host NAME DNS  makes a host without interfaces.
host() {
  ip netns add "$1"
  ip netns exec "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
  ip -n "$1" link set lo up
  printf 'nameserver %s\noptions timeout:2 attempts:2\n' "$2" >"$RUN/resolv.$1"
}

# wire HOST IF HOST IF  a cable between two hosts. Offloads are off, so that frames are what a wire would carry.
wire() {
  local host port
  ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
  for host in "$1 $2" "$3 $4"; do
    port=${host#* } host=${host% *}
    ip netns exec "$host" ethtool -K "$port" tx off rx off tso off gso off gro off >/dev/null
    ip -n "$host" link set "$port" up
  done
}

# haul HOST IF HOST IF SWITCH…  a long cable, by actors/haul.py in a host of its own.
haul() {
  local middle=haul-$1-$3
  host "$middle" 127.0.0.1
  wire "$1" "$2" "$middle" near
  wire "$middle" far "$3" "$4"
  actor "$middle" haul.py near far "${@:5}" &
}

# address HOST IF CIDR…
address() {
  local host=$1 port=$2 cidr
  shift 2
  for cidr in "$@"; do ip -n "$host" addr add "$cidr" dev "$port"; done
}

# capture HOST IF NAME  starts a capture; lab_stop ends it.
capture() {
  on "$1" tcpdump -i "$2" -s 0 -B 8192 -U --immediate-mode --time-stamp-precision=nano -Z root \
    -w "$RUN/$3.pcap" 2>"$RUN/$3.log" &
  local tries
  for tries in $(seq 50); do
    grep -q 'listening on' "$RUN/$3.log" 2>/dev/null && return 0
    sleep 0.1
  done
  die "no capture on $1/$2 after $tries tries: $(cat "$RUN/$3.log")"
}

# Ends the captures in good order and turns them into pcapng beside the recipe.
lab_stop() {
  local file name
  sleep 0.5
  pkill -INT -x tcpdump || true # in this process namespace there are only ours
  for file in "$RUN"/*.pcap; do
    name=$(basename "$file" .pcap)
    for _ in $(seq 50); do
      ! grep -q 'dropped by kernel' "$RUN/$name.log" || break
      sleep 0.1
    done
    grep -q '^0 packets dropped by kernel' "$RUN/$name.log" || die "capture $name is not whole: $(cat "$RUN/$name.log")"
    editcap -F pcapng "$file" "$CAPTURES/$name.pcapng"
    say "$name.pcapng: $(stat -c %s "$CAPTURES/$name.pcapng") bytes"
  done
}

# truth CAPTURE…  what each capture holds, from the ledger and from tshark's counts.
truth() {
  local name
  for name in "$@"; do
    python3 "$LAB/truth.py" "$CAPTURES/$name.pcapng" "$RUN/ledger" >"$CAPTURES/$name.truth.json" ||
      die "the ledger and $name.pcapng do not agree"
  done
}
