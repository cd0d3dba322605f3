# shellcheck shell=bash
# What every script of deploy/ begins with.
# shellcheck disable=SC2034 # what it sets is for other files

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=SCRIPTDIR/environment.sh
source "${BASH_SOURCE[0]%/*}/environment.sh"
# nginx and others are not in everybody's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

readonly POOLS=(auth login posts uploads feed admin recommendations)
# Of the database, each with chatty_ before it.
readonly ROLES=(auth posts feed admin recommendations worker operator)
readonly EXECUTABLES=(chatty-auth chatty-posts chatty-feed chatty-admin chatty-recommendations chatty-worker chatty-image chatty-log chatty)

say() { printf '%s\n' "$*"; }

# did TEXT…: says what has been done, and that something has.
CHANGED=false
did() {
  CHANGED=true
  say "$@"
}

# fail TEXT…: ends the script with one line on standard error.
fail() {
  printf '%s: %s\n' "$PROGRAM" "$*" >&2
  exit 1
}

is_root() { [[ $EUID == 0 ]]; }

# executable_of POOL: login is the auth service too, and uploads the post service.
executable_of() { printf 'chatty-%s' "$(role_of "$1")"; }

# role_of POOL: the service that it is, and with it its database role.
role_of() {
  case $1 in
    login) printf 'auth' ;;
    uploads) printf 'posts' ;;
    *) printf '%s' "$1" ;;
  esac
}

# user_of SERVICE: the system user that a pool or the worker runs as, nothing when everything runs as the caller.
user_of() {
  if is_root; then executable_of "$1"; fi
}

# is_pool NAME
is_pool() {
  local pool
  for pool in "${POOLS[@]}"; do if [[ $pool == "$1" ]]; then return 0; fi; done
  return 1
}

# eventually SECONDS COMMAND…: tries until it succeeds.
eventually() {
  local deadline=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}
