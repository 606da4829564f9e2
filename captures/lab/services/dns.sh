# shellcheck shell=bash
# DNS: dnsmasq with the vendor's names in the cloud, and dnsmasq again as the gateway's forwarder.

REGION=${REGION:-us-west}
RELAY=a1b2.$REGION.u5fgb.com
S3_BUCKET=oe-prod-media.s3.us-west-2.amazonaws.com

serve_dns() {
  cat >"$RUN/dns.cloud" <<CONF
local=/#/
host-record=$RELAY,$RELAY_IP,60
host-record=restapi.gp4f.com,$API_IP,60
host-record=activateapi.gp4f.com,$LICENSING_IP,60
host-record=ows.openeye.net,$LOGIN_IP,60
host-record=lsf.u5fgb.com,$LSF_IP,60
host-record=stun.u5fgb.com,$STUN_IP,60
host-record=1.cctv.pool.ntp.org,$NTP_IP,150
host-record=s3-r-w.us-west-2.amazonaws.com,$S3_IP,5
cname=$S3_BUCKET,s3-r-w.us-west-2.amazonaws.com,300
CONF
  printf 'server=%s\ncache-size=1000\n' "$DNS_IP" >"$RUN/dns.gw"
  dnsmasq_on cloud "$DNS_IP"
  dnsmasq_on gw 192.168.1.1
}

dnsmasq_on() {
  on "$1" dnsmasq --keep-in-foreground --no-resolv --no-hosts --bind-interfaces --listen-address="$2" --user=root \
    --pid-file= --log-facility="$RUN/dns.$1.log" --conf-file="$RUN/dns.$1" &
}
