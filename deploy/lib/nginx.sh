# shellcheck shell=bash
# nginx's configuration, from the templates of nginx/ to nginx/conf in the stack's folder.
# shellcheck disable=SC2034,SC2153 # what it sets is for other files; keys of VALUES are no variables

# bucket ZONE RATE: the two lines of a rate limit, in ZONE_… and LIMIT_…; none for a rate of 0.
bucket() {
  local zone=$1 rate=$2 key=\$client burst=''
  VALUES[ZONE_${zone^^}]='' VALUES[LIMIT_${zone^^}]='' VALUES[REFILL_${zone^^}]=1
  if ((rate == 0)); then return; fi
  if [[ $zone == writes ]]; then key=\$writer; fi
  if [[ $zone == login ]]; then key=\$prover; fi
  if ((rate > 1)); then burst=" burst=$((rate - 1)) nodelay"; fi
  VALUES[ZONE_${zone^^}]="limit_req_zone $key zone=$zone:10m rate=${rate}r/m;"
  VALUES[LIMIT_${zone^^}]="limit_req zone=$zone$burst;"
  VALUES[REFILL_${zone^^}]=$(((60 + rate - 1) / rate))
}

# connections: how many each worker of nginx has, and in FILES how it gets so many descriptors; as another user than root it has no more
# than it was given.
connections() {
  local wanted=$CHATTY_CONNECTIONS most
  most=$(ulimit -H -n)
  VALUES[FILES]=''
  if [[ $most != unlimited ]] && ((most < wanted + 256)); then
    if is_root; then VALUES[FILES]="worker_rlimit_nofile $((wanted + 256));"; else wanted=$((most - 256)); fi
  fi
  VALUES[CONNECTIONS]=$wanted
}

# share REQUESTS: what of a pool's gate an nginx worker has: twice its part, as connections are never spread evenly.
share() {
  local each=$((($1 * 2 + $(nproc) - 1) / $(nproc)))
  printf '%s' $((each < $1 ? each : $1))
}

# configuration_digest: that of the configuration in nginx/conf.
configuration_digest() { sed -nE "s/.*return 200 '([0-9a-f]{16}) .*/\1/p" "$CHATTY_HOME/nginx/conf/status.conf"; }

# running_configuration: the digest and the addresses of the configuration that nginx runs with.
running_configuration() { curl --disable --silent --max-time 5 --noproxy '*' --unix-socket "$CHATTY_HOME/run/nginx.sock" http://nginx/configuration || true; }

# has_old_configuration: nginx runs with another one.
has_old_configuration() { [[ $(running_configuration) != "$(configuration_digest) "* ]]; }

# has_old_addresses: nginx listens on an address that it is not to have: a reload opens further addresses, but cannot move to another one of
# the same port.
has_old_addresses() {
  local running
  running=$(running_configuration)
  [[ -n $running ]] && grep -qvFx "$(addresses conf)" <<<"$(tr ' ' '\n' <<<"${running#* }")"
}

# render_nginx: into conf.new, and asks nginx whether it takes it.
render_nginx() {
  local file proxy
  VALUES[USER]=''
  if is_root; then VALUES[USER]='user www-data;'; fi
  VALUES[LISTEN]=$(listen_directives) VALUES[OPS_PORT]=$CHATTY_OPS_PORT
  VALUES[CLIENT_MAX_BODY]=$CHATTY_CLIENT_MAX_BODY
  VALUES[READ_TIMEOUT]=$((CHATTY_STATEMENT_TIMEOUT + 2000))
  times_of uploads
  VALUES[UPLOAD_QUEUE_TIME]=$QUEUE_TIME VALUES[UPLOAD_TIME]=$((QUEUE_TIME + WORK_TIME))
  VALUES[GATE]=$(share "$(gate posts)") VALUES[LOGIN_GATE]=$(share "$(gate login)") VALUES[UPLOAD_GATE]=$(share "$(gate uploads)")
  VALUES[TRUSTED_PROXIES]=''
  for proxy in $CHATTY_TRUSTED_PROXIES; do VALUES[TRUSTED_PROXIES]+="set_real_ip_from $proxy;"$'\n'; done
  if [[ -n ${VALUES[TRUSTED_PROXIES]} ]]; then VALUES[TRUSTED_PROXIES]+=$'real_ip_header X-Forwarded-For;\nreal_ip_recursive on;'; fi
  connections
  VALUES[ZONE_CONNECTIONS]='' VALUES[LIMIT_CONNECTIONS]=''
  if ((CHATTY_CLIENT_CONNECTIONS > 0)); then
    VALUES[ZONE_CONNECTIONS]="limit_conn_zone \$client zone=connections:10m;"
    VALUES[LIMIT_CONNECTIONS]="limit_conn connections $CHATTY_CLIENT_CONNECTIONS;"
  fi
  bucket login "$CHATTY_RATE_LOGIN"
  bucket register "$CHATTY_RATE_REGISTER"
  bucket writes "$CHATTY_RATE_WRITES"

  rm -rf "$CHATTY_HOME/nginx/conf.new"
  folder nginx/conf.new 755
  VALUES[DIGEST]='' VALUES[ADDRESSES]=''
  for file in "$ROOT"/nginx/*.conf; do render "$file" "$CHATTY_HOME/nginx/conf.new/${file##*/}" 644; done
  VALUES[DIGEST]=$(cd "$CHATTY_HOME/nginx/conf.new" && sha256sum -- *.conf | digest)
  VALUES[ADDRESSES]=$(addresses conf.new | paste -s -d ' ')
  render "$ROOT/nginx/status.conf" "$CHATTY_HOME/nginx/conf.new/status.conf" 644
  local said
  for file in nginx.conf operations.conf; do
    said=$(nginx -t -q -p "$CHATTY_HOME/nginx" -c "conf.new/$file" -e stderr 2>&1) || fail_nginx "$said"
  done
}

# install_configuration: that of render_nginx takes its place, file by file, so that nginx finds each whenever it is started.
install_configuration() {
  local file
  for file in "$ROOT"/nginx/html/*; do write_file "$CHATTY_HOME/nginx/html/${file##*/}" 644 "$(<"$file")"; done
  folder nginx/conf 755
  for file in "$CHATTY_HOME"/nginx/conf/*; do
    if [[ ! -e $CHATTY_HOME/nginx/conf.new/${file##*/} ]]; then rm -f "$file"; fi
  done
  mv "$CHATTY_HOME"/nginx/conf.new/*.conf "$CHATTY_HOME/nginx/conf"
  rmdir "$CHATTY_HOME/nginx/conf.new"
}

# fail_nginx SAID: ends with what nginx says of its configuration, and with the setting that is in the line that it names.
fail_nginx() {
  local said=${1%%$'\n'*} line='' name=''
  if [[ $said =~ ' in '(/[^ ]*):([0-9]+)$ ]]; then line=$(sed -n "${BASH_REMATCH[2]}s/^ *//p" "${BASH_REMATCH[1]}"); fi
  case $line in
    listen*) name=CHATTY_ADDRESS ;;
    set_real_ip_from*) name=CHATTY_TRUSTED_PROXIES ;;
    client_max_body_size*) name=CHATTY_CLIENT_MAX_BODY ;;
    worker_connections* | worker_rlimit_nofile*) name=CHATTY_CONNECTIONS ;;
    'limit_conn connections'*) name=CHATTY_CLIENT_CONNECTIONS ;;
    *zone=login*) name=CHATTY_RATE_LOGIN ;;
    *zone=register*) name=CHATTY_RATE_REGISTER ;;
    *zone=writes*) name=CHATTY_RATE_WRITES ;;
    fastcgi_read_timeout* | fastcgi_send_timeout*) name=CHATTY_STATEMENT_TIMEOUT ;;
  esac
  if [[ -n $name ]]; then fail_setting "$name" "is '${!name}', which nginx does not take: $said"; fi
  fail "nginx does not take its configuration: $said"
}

# addresses FOLDER: the addresses and ports that a configuration listens on.
addresses() { sed -nE 's/^ *listen ([^ ;]+).*/\1/p' "$CHATTY_HOME/nginx/$1/"*.conf; }

# start_nginx: starts it, or has it take what has changed.
start_nginx() {
  if ! is_running nginx; then
    start_service nginx
  elif is_old_nginx nginx || has_old_addresses; then
    did 'restarting nginx'
    sv -w 45 restart "$CHATTY_HOME/service/nginx" >/dev/null || fail 'nginx does not end'
  elif has_old_configuration; then
    did 'nginx takes its new configuration'
    reload_nginx || fail 'nginx does not take it'
  fi
}

# start_operations: as start_nginx, after it, since that may have been the operations listener before. Nobody minds a restart.
start_operations() {
  if ! is_running operations; then
    start_service operations
  elif is_old_nginx operations; then
    did 'restarting the operations listener'
    sv -w 45 restart "$CHATTY_HOME/service/operations" >/dev/null || fail 'the operations listener does not end'
  fi
}

# reload_nginx: and waits until new workers have taken over.
reload_nginx() {
  local master old
  master=$(<"$CHATTY_HOME/service/nginx/supervise/pid")
  old=$(pgrep --parent "$master")
  sv hup "$CHATTY_HOME/service/nginx" >/dev/null
  eventually 10 has_new_children "$master" "$old" || {
    show_log nginx
    return 1
  }
}

# has_new_children PARENT OLD: a child that is not in OLD.
has_new_children() {
  local pid
  for pid in $(pgrep --parent "$1"); do
    if [[ $'\n'$2$'\n' != *$'\n'$pid$'\n'* ]]; then return 0; fi
  done
  return 1
}
