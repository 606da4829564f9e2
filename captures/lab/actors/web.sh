# shellcheck shell=bash
# curl as an actor that writes its flow into the ledger.

# web HOST CLASS SUBCLASS CURL-ARGUMENT… URL   (SUBCLASS may be "")
web() {
  local host=$1 class=$2 sub=$3
  shift 3
  # shellcheck disable=SC2016 # curl's own variables
  on "$host" curl -sS --fail --http1.1 --cacert "$LAB_CA" -o /dev/null \
    -w '%{local_ip} %{local_port} %{remote_ip} %{remote_port} %{url_effective}\n' "$@" |
    while read -r ip port rip rport url; do
      [ "$port" != 0 ] || continue
      url=${url#*://}
      printf '{"proto":"TCP","src_ip":"%s","src_port":%s,"dest_ip":"%s","dest_port":%s,' "$ip" "$port" "$rip" "$rport"
      printf '"name":"%s","class":"%s","subclass":[%s]}\n' "${url%%[/:]*}" "$class" "${sub:+\"$sub\"}"
    done >>"$LAB_LEDGER"
}
