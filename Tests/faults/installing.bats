#!/usr/bin/env bats
# Missing packages are installed, and whatever ends that: nothing that held services back stays on the machine.
#
# apt-get, systemctl and update-rc.d are stand-ins: a test cannot install packages that the machine has. /usr/sbin and /etc are the
# machine's own with a layer over them, and /run is that of a machine with systemd, in a mount namespace that only the test sees.
# shellcheck disable=SC2016,SC2317 # what another shell expands, and what is called by a name

load ../smoke/support
load ../smoke/stack

setup_file() {
  export STAND_INS=$BATS_FILE_TMPDIR/bin
  mkdir "$STAND_INS"
  stand_in apt-get <<'STAND_IN'
case " $* " in *' install '*) ;; *) exit 0 ;; esac
{
  printf 'runlevel %s\n' "${RUNLEVEL-}"
  cat /etc/postgresql-common/createcluster.d/chatty.conf
  if [ -e /usr/sbin/policy-rc.d ]; then echo 'a policy'; fi
} >>"$NOTES"
: >"$NOTES.begun"
# A test that waits for longer has failed.
for _ in $(seq 600); do
  if [ -e "$NOTES.end" ]; then exit "$(cat "$NOTES.end")"; fi
  sleep 0.1
done
STAND_IN
  stand_in systemctl <<<'printf "systemctl %s\n" "$*" >>"$NOTES"'
  stand_in update-rc.d <<<'printf "update-rc.d %s\n" "$*" >>"$NOTES"'
}

setup() {
  export NOTES=$BATS_TEST_TMPDIR/notes
  : >"$NOTES"
}

# stand_in NAME: a command that does what standard input says.
stand_in() {
  { printf '#!/bin/sh\n'; cat; } >"$STAND_INS/$1"
  chmod 755 "$STAND_INS/$1"
}

# apart FUNCTION [ARGUMENT…]: runs it where /usr/sbin and /etc can be changed without changing the machine's.
apart() {
  local options=(--mount)
  if [[ $EUID != 0 ]]; then options+=(--map-root-user); fi
  export BATS_TEST_TMPDIR ROOT
  unshare "${options[@]}" bash -euo pipefail -c "$(declare -f); fresh_machine; \"\$@\"" - "$@" 3>&-
}

# fresh_machine: nothing forbids services to start, and systemd runs.
fresh_machine() {
  layer /usr/sbin
  layer /etc
  rm -f /usr/sbin/policy-rc.d
  mount -t tmpfs none /run
  mkdir -p /run/systemd/system
}

# layer FOLDER: what is changed in it from now on is in memory, and gone with the namespace.
layer() {
  local layer=$BATS_TEST_TMPDIR/layer
  mkdir -p "$layer"
  mount -t tmpfs none "$layer"
  mkdir "$layer/upper" "$layer/work"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" "$1"
}

# install: as deploy/up does on a machine that has neither nginx nor PostgreSQL; a process group of its own.
install() {
  PATH=$STAND_INS:$PATH env --default-signal=INT,HUP,TERM setsid --wait bash -euo pipefail -c '
    echo $$ >"$NOTES.pid"
    source "$ROOT/deploy/lib/common.sh"
    source "$ROOT/deploy/lib/packages.sh"
    have() { return 1; }
    need_packages nginx postgresql' up
}

# install_until SIGNAL: sends it to all of the installation, as a terminal does, in the middle of apt-get.
install_until() {
  install >"$NOTES.said" 2>&1 &
  local job=$!
  eventually 30 test -e "$NOTES.begun"
  kill "-$1" -- "-$(<"$NOTES.pid")"
  if wait "$job"; then return 1; fi
  # The end of apt-get may come after that of the script.
  eventually 30 is_over
  left_behind
}

is_over() { ! pgrep --session "$(<"$NOTES.pid")" >/dev/null; }

# install_to_the_end STATUS: apt-get ends with it.
install_to_the_end() {
  echo "$1" >"$NOTES.end"
  install || true
  left_behind
}

# left_behind: what there is that was not there before.
left_behind() {
  ls -d /usr/sbin/policy-rc.d /etc/postgresql-common/createcluster.d/chatty.conf 2>/dev/null || true
  # Each mask has its end.
  local masked
  masked=$(grep -c ' mask --runtime nginx.service postgresql.service pgbouncer.service$' "$NOTES" || true)
  if [[ $masked != "$(grep -c ' unmask --runtime nginx.service postgresql.service pgbouncer.service$' "$NOTES" || true)" ]]; then printf 'masked\n'; fi
}

# held: what apt-get found.
held() { grep -v '^systemctl\|^update-rc.d' "$NOTES" | sort -u; }

@test "Ctrl-C, a hang-up and SIGTERM in the middle of apt-get leave nothing that holds services back" {
  local signal
  for signal in INT HUP TERM; do
    rm -f "$NOTES".*
    : >"$NOTES"
    run apart install_until "$signal"
    equal "$status $output" '0 ' "after SIG$signal"
    equal "$(held)" $'create_main_cluster = false\nrunlevel 1' "while apt-get ran, before SIG$signal"
  done
}

@test "while packages are installed none of their services starts, and afterwards nothing holds them back, though apt-get fails" {
  local code
  for code in 0 100; do
    rm -f "$NOTES".*
    : >"$NOTES"
    run apart install_to_the_end "$code"
    equal "$status" 0
    if ((code == 0)); then
      equal "$output" 'installing nginx postgresql'
    else
      equal "$output" $'installing nginx postgresql\nup: apt-get could not install nginx postgresql'
    fi
    equal "$(held)" $'create_main_cluster = false\nrunlevel 1'
    grep -q '^systemctl .*mask --runtime nginx.service postgresql.service pgbouncer.service$' "$NOTES"
    # Nor at the next boot.
    grep -qx 'update-rc.d nginx disable' "$NOTES"
    grep -qx 'update-rc.d postgresql disable' "$NOTES"
    grep -qx 'update-rc.d pgbouncer disable' "$NOTES"
  done
}

# after_an_earlier_version TEXT: it was cut off, and somebody else has a policy of this text.
after_an_earlier_version() {
  printf '%b' "$1" >/usr/sbin/policy-rc.d
  mkdir -p /etc/postgresql-common/createcluster.d
  printf 'create_main_cluster = false\n' >/etc/postgresql-common/createcluster.d/chatty.conf
  install_to_the_end 0
}

@test "what an earlier version left behind is removed, with a line that says so; a policy of somebody else's stays" {
  run apart after_an_earlier_version '#!/bin/sh\nexit 101\n'
  equal "$status" 0
  [[ ${lines[0]} == 'removed /usr/sbin/policy-rc.d, which '* ]] || wrong "$output"
  [[ ${lines[1]} == 'removed /etc/postgresql-common/'*'/chatty.conf, which '* ]] || wrong "$output"
  equal "${lines[*]:2}" 'installing nginx postgresql'
  run apart after_an_earlier_version '#!/bin/sh\n# of this image\nexit 101\n'
  equal "${lines[*]:1}" 'installing nginx postgresql /usr/sbin/policy-rc.d'
}
