# shellcheck shell=bash
# Who is where. A customer's LAN behind a NAT gateway, a router that is the internet, the vendor's cloud, a viewer:
#
#   rec 192.168.1.50 ─┐
#                     ├─ sw ═ gw 192.168.1.1 │ 203.0.113.7 ── inet ── cloud 198.51.100.0/24
#   (more of the LAN)─┘   ▲                                    └───── viewer 192.0.2.60
#                         └ the mirror port: sw/uplink, before NAT
#
# Addresses are those set aside for documentation (RFC 5737), so nothing that leaks could reach anyone.

RELAY_IP=198.51.100.10
API_IP=198.51.100.20
LICENSING_IP=198.51.100.21
LOGIN_IP=198.51.100.22
LSF_IP=198.51.100.23
S3_IP=198.51.100.30
STUN_IP=198.51.100.40
NTP_IP=198.51.100.41
DNS_IP=198.51.100.53

# VENDOR_HAUL and VIEWER_HAUL are the switches of actors/haul.py for the two long cables.
# shellcheck disable=SC2086 # switches are words
lab_topology() {
  host sw 127.0.0.1
  host rec 192.168.1.1
  host gw "$DNS_IP"
  host inet "$DNS_IP"
  host cloud "$DNS_IP"
  host viewer "$DNS_IP"
  local router

  ip -n sw link add br0 type bridge
  ip -n sw link set br0 up
  wire rec eth0 sw port1
  wire gw lan sw uplink
  ip -n sw link set port1 master br0
  ip -n sw link set uplink master br0
  address rec eth0 192.168.1.50/24
  address gw lan 192.168.1.1/24
  ip -n rec route add default via 192.168.1.1

  wire gw wan inet site
  address gw wan 203.0.113.7/24
  address inet site 203.0.113.1/24
  ip -n gw route add default via 203.0.113.1
  haul inet vendor cloud eth0 ${VENDOR_HAUL:---delay 9}
  address inet vendor 198.51.100.1/24
  address cloud eth0 "$RELAY_IP/24" "$API_IP/24" "$LICENSING_IP/24" "$LOGIN_IP/24" "$LSF_IP/24" "$S3_IP/24" \
    "$STUN_IP/24" "$NTP_IP/24" "$DNS_IP/24"
  ip -n cloud route add default via 198.51.100.1
  haul inet home viewer eth0 ${VIEWER_HAUL:---delay 14}
  address inet home 192.0.2.1/24
  address viewer eth0 192.0.2.60/24
  ip -n viewer route add default via 192.0.2.1

  for router in gw inet; do ip netns exec "$router" sysctl -qw net.ipv4.ip_forward=1; done
  ip netns exec gw nft -f - <<'NFT'
table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
}
table ip filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "lan" accept
    ct state established,related accept
  }
}
NFT
}
