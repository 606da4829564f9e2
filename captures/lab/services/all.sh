# shellcheck shell=bash
# Everything that the cloud runs. RELAY_ARGS are the relay's switches, STUN_ARGS the STUN server's.

# shellcheck source=captures/lab/services/dns.sh
. "$LAB/services/dns.sh"
# shellcheck source=captures/lab/services/web.sh
. "$LAB/services/web.sh"

lab_services() {
  serve_ca
  serve_dns
  serve_web
  # shellcheck disable=SC2086 # switches are words
  actor cloud relay.py --address "$RELAY_IP" --cert "$RUN/*.$REGION.u5fgb.com.pem" \
    --key "$RUN/*.$REGION.u5fgb.com.key" ${RELAY_ARGS:-} &
  # shellcheck disable=SC2086
  actor cloud stun.py serve "$STUN_IP" ${STUN_ARGS:-} &
  actor cloud ntp.py serve "$NTP_IP" &
  local address tries
  for address in "$RELAY_IP" "$API_IP"; do
    for tries in $(seq 100); do
      on cloud python3 -c "import socket; socket.create_connection(('$address', 443), 1)" 2>/dev/null && continue 2
      sleep 0.1
    done
    die "no service on $address after $tries tries: $(cat "$RUN/nginx.log")"
  done
}
