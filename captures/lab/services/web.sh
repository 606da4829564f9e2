# shellcheck shell=bash
# The lab's CA, and nginx as the API, licensing, login, LAN Smart Forwarding and S3 servers.

# cert NAME…  a certificate of the lab's CA for those names, in $RUN/NAME.pem and .key.
cert() {
  local file=$RUN/$1 names
  names=$(printf ',DNS:%s' "$@")
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$file.key" -subj "/CN=$1" 2>/dev/null |
    openssl x509 -req -CA "$RUN/ca.pem" -CAkey "$RUN/ca.key" -days 30 -out "$file.pem" \
      -extfile <(printf 'subjectAltName=%s\n' "${names#,}") 2>/dev/null
}

serve_ca() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$RUN/ca.key" -days 30 \
    -out "$RUN/ca.pem" -subj "/O=Lab/CN=Lab CA" 2>/dev/null
  cert "*.$REGION.u5fgb.com"
  cert "*.gp4f.com"
  cert ows.openeye.net
  cert lsf.u5fgb.com
  cert "*.s3.us-west-2.amazonaws.com"
}

# site ADDRESS CERTIFICATE PROTOCOLS LOCATION
site() {
  cat <<CONF
  server {
    listen $1:443 ssl;
    listen $1:80;
    ssl_certificate "$RUN/$2.pem";
    ssl_certificate_key "$RUN/$2.key";
    ssl_protocols $3;
    location / { $4 }
  }
CONF
}

serve_web() {
  mkdir -p "$RUN/s3" "$RUN/www"
  local json='default_type application/json; client_max_body_size 1m;'
  {
    cat <<CONF
user root;
worker_processes 1;
pid $RUN/nginx.pid;
error_log $RUN/nginx.log;
daemon off;
events {}
http {
  access_log off;
  server_tokens off;
  client_body_temp_path $RUN/www;
  proxy_temp_path $RUN/www;
  fastcgi_temp_path $RUN/www;
  uwsgi_temp_path $RUN/www;
  scgi_temp_path $RUN/www;
CONF
    site "$API_IP" "*.gp4f.com" "TLSv1.2 TLSv1.3" "$json return 200 '{\"registered\":true}';"
    site "$LICENSING_IP" "*.gp4f.com" TLSv1.2 "$json return 200 '{\"licences\":16}';"
    site "$LOGIN_IP" ows.openeye.net "TLSv1.2 TLSv1.3" "$json return 200 '{\"session\":\"lab\"}';"
    site "$LSF_IP" lsf.u5fgb.com "TLSv1.2 TLSv1.3" "$json return 200 '{\"local\":\"192.168.1.50\"}';"
    site "$S3_IP" "*.s3.us-west-2.amazonaws.com" "TLSv1.2 TLSv1.3" \
      "root $RUN/s3; dav_methods PUT; create_full_put_path on; client_max_body_size 64m;"
    echo "}"
  } >"$RUN/nginx.conf"
  on cloud nginx -e "$RUN/nginx.log" -c "$RUN/nginx.conf" &
}
