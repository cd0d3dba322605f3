#!/usr/bin/env bash
# A PostgreSQL of a test's own, in the folder SERVER, on the port SERVER_PORT of 127.0.0.1. Needs support.bash and stack.bash.

# make_server: makes and starts it.
make_server() {
  SERVER=$(mktemp -d /tmp/chatty-server-XXXXXX) SERVER_PORT=$(free_port)
  export SERVER SERVER_PORT
  chmod 755 "$SERVER"
  if [[ $EUID == 0 ]]; then chown postgres: "$SERVER"; fi
  server initdb --pgdata "$SERVER/data" --username postgres --auth trust --no-sync --encoding UTF8 --locale C.UTF-8 >"$SERVER/initdb.log"
  start_server
}

# remove_server: stops it, and takes all that it had.
remove_server() {
  if [[ ${SERVER-} != /tmp/chatty-server-* ]]; then return; fi
  server pg_ctl --pgdata "$SERVER/data" --mode immediate stop || true
  rm -rf "$SERVER"
}

# as_server COMMAND…: PostgreSQL and its pooler refuse to be root.
as_server() { if [[ $EUID == 0 ]]; then (cd / && chpst -u postgres "$@" </dev/null 3>&-); else (cd / && "$@" </dev/null 3>&-); fi; }

# server PROGRAM ARGUMENT…: one of PostgreSQL's own.
server() { as_server "$(compgen -G '/usr/lib/postgresql/*/bin/' | sort -V | tail -n 1)$1" "${@:2}"; }

start_server() {
  server pg_ctl --pgdata "$SERVER/data" --wait --log "$SERVER/log" --options \
    "-c port=$SERVER_PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories=$SERVER -c max_connections=200" start >"$SERVER/start.log"
}

# administrator DATABASE: its address, for the superuser.
administrator() { printf 'postgresql://postgres@127.0.0.1:%s/%s' "$SERVER_PORT" "$1"; }
