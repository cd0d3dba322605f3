# shellcheck shell=bash
# Addresses of IP: which are well formed, where nginx is to listen and whether it can, and whose word about clients is believed.

# is_ipv4 TEXT
is_ipv4() {
  local part parts
  [[ $1 =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}$ ]] || return 1
  IFS=. read -ra parts <<<"$1"
  for part in "${parts[@]}"; do [[ $part =~ ^(0|[1-9][0-9]*)$ ]] && ((part < 256)) || return 1; done
}

# is_ipv6 TEXT: eight groups, or fewer and one :: for the others; the last two may be written as an IPv4 address (RFC 4291, 2.2).
is_ipv6() {
  local text=$1 count
  if [[ $text =~ ^(.*:)([0-9.]+)$ && ${BASH_REMATCH[2]} == *.* ]]; then
    text=${BASH_REMATCH[1]}0:0
    is_ipv4 "${BASH_REMATCH[2]}" || return 1
  fi
  [[ $text =~ ^[0-9A-Fa-f:]+$ && ! $text =~ [0-9A-Fa-f]{5} && $text != *:::* && $text != *::*::* ]] || return 1
  [[ ! $text =~ ^:[^:] && ! $text =~ [^:]:$ ]] || return 1
  count=$(grep -oE '[0-9A-Fa-f]+' <<<"$text" | wc -l)
  if [[ $text == *::* ]]; then ((count < 8)); else ((count == 8)); fi
}

# has_ipv6: no address of it, not even ::1, is there where it is switched off.
has_ipv6() { [[ -n $(cat /proc/net/if_inet6 2>/dev/null) ]]; }

# check_addresses NAME: a list of addresses to listen on, or names of this machine.
check_addresses() {
  local name=$1 address list seen=' '
  IFS=' ' read -ra list <<<"${!name}"
  for address in "${list[@]}"; do
    case $address in
      *:*) is_ipv6 "$address" || fail_setting "$name" "has '$address', which is no IPv6 address" ;;
      *[!0-9.]*) [[ $address =~ ^[A-Za-z0-9.-]+$ ]] || fail_setting "$name" "has '$address', which is no address" ;;
      *) is_ipv4 "$address" || fail_setting "$name" "has '$address', which is no IPv4 address" ;;
    esac
    [[ $address != *:* ]] || has_ipv6 || fail_setting "$name" "has '$address', and this machine has no IPv6"
    [[ $seen != *" $address "* ]] || fail_setting "$name" "has '$address' twice"
    seen+="$address "
  done
  [[ $seen != ' ' ]] || fail_setting "$name" 'has no address'
  for address in "${list[@]}"; do
    if [[ $address == *:* && $address != :: && $seen == *' :: '* ]]; then fail_setting "$name" "has '$address', which is one of ::"; fi
    if [[ $address != *:* && $address != 0.0.0.0 && $seen == *' 0.0.0.0 '* ]]; then fail_setting "$name" "has '$address', which is one of 0.0.0.0"; fi
  done
}

# check_networks NAME: a list of addresses and networks, or nothing.
check_networks() {
  local name=$1 network address length most list
  IFS=' ' read -ra list <<<"${!name}"
  for network in "${list[@]}"; do
    address=${network%%/*} length=0 most=-1
    if is_ipv4 "$address"; then most=32; elif is_ipv6 "$address"; then most=128; fi
    if [[ $network == */* ]]; then length=${network#*/}; fi
    if [[ ! $length =~ ^[0-9]{1,3}$ ]] || ((10#$length > most)); then fail_setting "$name" "has '$network', which is no address or network"; fi
  done
}

# warn_of_trusted_networks: those that hold more than any network of one's own: the largest private ones are 10.0.0.0/8 and fc00::/7.
warn_of_trusted_networks() {
  local network wide=()
  for network in $CHATTY_TRUSTED_PROXIES; do
    case $network in
      *:*/*) if ((10#${network#*/} < 7)); then wide+=("$network"); fi ;;
      */*) if ((10#${network#*/} < 8)); then wide+=("$network"); fi ;;
    esac
  done
  if ((${#wide[@]} == 0)); then return; fi
  printf '%s: warning: CHATTY_TRUSTED_PROXIES has %s: every client there is believed to have the address that it says, and so is under no limit\n' \
    "$PROGRAM" "${wide[*]}" >&2
}

# endpoint ADDRESS PORT: as nginx and addresses of pages write it.
endpoint() { if [[ $1 == *:* ]]; then printf '[%s]:%s' "$1" "$2"; else printf '%s:%s' "$1" "$2"; fi; }

# endpoints: of the public nginx, a line each.
endpoints() {
  local address
  for address in $CHATTY_ADDRESS; do printf '%s\n' "$(endpoint "$address" "$CHATTY_PORT")"; done
}

# listen_directives: of the public nginx. A socket of IPv6 is for IPv6 alone, whatever the machine's default is.
listen_directives() {
  local address
  for address in $CHATTY_ADDRESS; do
    printf 'listen %s default_server backlog=1024' "$(endpoint "$address" "$CHATTY_PORT")"
    if [[ $address == *:* ]]; then printf ' ipv6only=on'; fi
    printf ';\n'
  done
}

# try_listen ADDRESS PORT: status 0 if a socket can be opened there, otherwise the error's number (errno(3)), 1 for a name without an
# address. Bash can open none, and nginx -t takes an address that somebody else has for a good one.
try_listen() {
  perl -MSocket=:all -e '
    my ($error, @found) = getaddrinfo($ARGV[0], $ARGV[1], {flags => AI_PASSIVE, socktype => SOCK_STREAM});
    exit 1 if $error;
    for (@found) {
      socket(my $socket, $_->{family}, SOCK_STREAM, 0) or exit $!;
      setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
      setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, 1) if $_->{family} == AF_INET6;
      bind($socket, $_->{addr}) or exit $!;
    }' -- "$1" "$2" 2>/dev/null
}

# holders PORT: the process ids of those that listen on it, on whichever address; ? for one whose process cannot be seen.
holders() {
  local inode pids
  awk -v port="$(printf ':%04X' "$1")" '$4 == "0A" && $2 ~ port "$" { print $10 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    sort -u | while read -r inode; do
    pids=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\[$inode\]" 2>/dev/null | cut -d / -f 3) || true
    printf '%s\n' "${pids:-?}"
  done
}

# held_by_others PORT: the names of those that have it and are not of this stack, as "name (pid)" with a comma between.
held_by_others() {
  local pid own said=''
  own=$(stack_processes | cut -d ' ' -f 1)
  for pid in $(holders "$1" | sort -n -u); do
    if [[ $pid == '?' ]]; then
      said+=${said:+, }'another process'
    elif [[ $'\n'$own$'\n' != *$'\n'$pid$'\n'* ]]; then
      said+="${said:+, }$(cat "/proc/$pid/comm" 2>/dev/null) (process $pid)"
    fi
  done
  printf '%s' "$said"
}

# check_ports: nobody else may have them, on any of the addresses. Those that this stack's nginx has already are its own.
check_ports() {
  local address own=''
  if is_running nginx; then own=$(addresses conf); fi
  for address in $CHATTY_ADDRESS; do check_port CHATTY_PORT "$address" "$own"; done
  check_port CHATTY_OPS_PORT 127.0.0.1 "$own"
}

# check_port NAME ADDRESS OWN
check_port() {
  local name=$1 port=${!1} where others status=0
  where=$(endpoint "$2" "$port")
  if grep -qFx "$where" <<<"$3"; then return; fi
  try_listen "$2" "$port" || status=$?
  if ((status == 0)); then return; fi
  case $status in
    98)
      others=$(held_by_others "$port")
      # The stack itself has it, on another address, and will give it up; or an nginx that was killed has left it, which nginx.run sees to.
      if [[ -z $others && -n $(holders "$port") ]]; then return; fi
      fail "port $port is in use: ${others:-another process} has $where. Set $name to another"
      ;;
    99) fail_setting CHATTY_ADDRESS "has '$2', which is no address of this machine" ;;
    13) fail_setting "$name" "is $port, and only root may have a port so low" ;;
    1) fail_setting CHATTY_ADDRESS "has '$2', which is neither an address nor the name of one" ;;
    *) fail_setting CHATTY_ADDRESS "has '$2', where nothing can listen (error $status)" ;;
  esac
}
