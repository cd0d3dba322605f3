#!/usr/bin/env bats
# Whose environment, arguments and folder it is that scripts are called with.

load support
load stack

setup_file() {
  # A locale in which "I" is no "i", and everything else that changes how programs read, compare, connect and write.
  local folder=$BATS_FILE_TMPDIR
  localedef --no-archive --inputfile tr_TR --charmap UTF-8 "$folder/tr_TR.UTF-8"
  printf 'proxy = "http://127.0.0.1:9"\n' >"$folder/.curlrc"
  printf 'grep() { return 1; }\nexport -f grep\n' >"$folder/bash_env"
  printf '\\set QUIET off\n\\echo surprise\n' >"$folder/psqlrc"
  mkdir "$folder/deploy" "$folder/sql"
  mapfile -t ODD < <(
    printf '%s\n' LC_ALL=tr_TR.UTF-8 LOCPATH="$folder" LANGUAGE=tr TZ=Pacific/Kiritimati POSIXLY_CORRECT=1 BASH_ENV="$folder/bash_env"
    printf '%s\n' {http,https,all}_proxy=http://127.0.0.1:9 {HTTP,HTTPS,ALL}_PROXY=http://127.0.0.1:9 CURL_HOME="$folder" XDG_CONFIG_HOME="$folder"
    printf '%s\n' PGHOST=/nonexistent PGPORT=1 PGUSER=nobody PGDATABASE=nowhere PGPASSWORD=wrong PGSERVICE=nowhere PGSSLMODE=verify-full
    printf '%s\n' PGOPTIONS='-c search_path=nowhere' PGTZ=nowhere PGCLIENTENCODING=LATIN5 PSQLRC="$folder/psqlrc" PSQL_PAGER=false
    printf '%s\n' CDPATH="$folder:/" GREP_OPTIONS=--invert-match GREP_COLORS=mt=1 GREP_COLOR=1 BLOCK_SIZE=1 TMPDIR=/nonexistent IFS=/
    printf '%s\n' CC=false GLOBIGNORE='*' SVDIR=/nonexistent
  )
  printf '%s\n' "${ODD[@]}" >"$folder/odd"
  start_stack
}

teardown_file() {
  stop_stack
}

# odd UMASK SCRIPT ARGUMENT…: from another folder, by a relative path, with all that.
odd() {
  local variables
  mapfile -t variables <"$BATS_FILE_TMPDIR/odd"
  (
    umask "$1"
    cd "$ROOT/Tests" || exit
    exec env "${variables[@]}" "../deploy/$2" "${@:3}" </dev/null 3>&-
  )
}

# says SCRIPT ARGUMENT…: what it prints, in an ordinary environment; STATUS is how it ended.
says() {
  STATUS=0
  SAID=$("$ROOT/deploy/$1" "${@:2}" 2>&1 </dev/null 3>&-) || STATUS=$?
}

@test "every script does its work whatever is in the environment" {
  odd 077 down
  odd 077 up >"$CHATTY_HOME/up.log" 2>&1 || wrong "up: $(cat "$CHATTY_HOME/up.log")"
  odd 077 status || wrong 'status says that something is not well'
  odd 077 chatty check
  CHATTY_DATABASE_OWNER_URL=$CHATTY_TEST_DATABASE_URL run odd 077 migrate
  [[ $status == 0 && $output == *'the database is up to date'* ]] || wrong "migrate: $output"
  odd 077 restart recommendations worker
  odd 000 up >"$CHATTY_HOME/up.log" 2>&1 || wrong "up again: $(cat "$CHATTY_HOME/up.log")"
  grep -qx 'nothing has changed' "$CHATTY_HOME/up.log" || wrong "up again: $(cat "$CHATTY_HOME/up.log")"
  equal "$(find "$CHATTY_HOME" -type f -perm /022)" '' 'what others may write to'
  get /posts
  expect 200
}

@test "no process of the stack has anything of it" {
  local pid name odd
  odd=$(sed 's/=.*//' "$BATS_FILE_TMPDIR/odd" | paste -s -d '|')
  while read -r pid name; do
    equal "$(tr '\0' '\n' <"/proc/$pid/environ" | grep -E "^(${odd//LC_ALL|/})=" || true)" '' "what $name has"
  done < <(
    stack_processes
    printf '%s runsvdir\n' "$(supervisor)"
  )
}

# -- Arguments --------------------------------------------------------------------------------------------------------

@test "an argument that a script does not know is refused, in one line that names it, and nothing is done" {
  local before script argument
  before=$(stack_processes)
  for script in up down restart status migrate test bench; do
    for argument in --hlep surprise ''; do
      says "$script" "$argument"
      [[ $STATUS == 64 && $(wc -l <<<"$SAID") == 1 && $SAID == "$script: "*"$argument"*"deploy/$script --help"* ]] ||
        wrong "$script '$argument': $STATUS, $SAID"
    done
  done
  says restart posts surprise
  [[ $STATUS == 64 && $SAID == *surprise* ]] || wrong "restart: $STATUS, $SAID"
  equal "$(stack_processes)" "$before" 'the list of processes'
}

@test "--help says what a script does, and nothing is done" {
  local before script argument
  before=$(stack_processes)
  for script in up down restart status migrate test bench; do
    for argument in --help -h; do
      says "$script" "$argument"
      [[ $STATUS == 0 && $SAID == *"deploy/$script"* && $SAID != *'#'* && $SAID != *'set -'* ]] || wrong "$script $argument: $STATUS, $SAID"
    done
  done
  says chatty --help
  [[ $STATUS == 0 && $SAID == *USAGE* ]] || wrong "chatty: $STATUS, $SAID"
  says chatty user --help
  [[ $STATUS == 0 && $SAID == *promote* ]] || wrong "chatty user: $STATUS, $SAID"
  equal "$(stack_processes)" "$before" 'the list of processes'
}

# -- Settings ---------------------------------------------------------------------------------------------------------

@test "a mistyped variable is refused by every script, as a line of the file is, and the name that was meant is told" {
  local before script
  before=$(stack_processes)
  for script in up down restart status migrate chatty test bench; do
    CHATTY_RATE_LOGINS=3 says "$script"
    [[ $STATUS == 78 && $(wc -l <<<"$SAID") == 1 && $SAID == "$script: CHATTY_RATE_LOGINS "*'CHATTY_RATE_LOGIN?' ]] || wrong "$script: $STATUS, $SAID"
  done
  CHATTY_SOMETHING_ELSE_ENTIRELY=3 says up
  [[ $STATUS == 78 && $(wc -l <<<"$SAID") == 1 && $SAID != *'?'* ]] || wrong "$STATUS, $SAID"
  printf 'CHATTY_WORKER=3\n' >>"$CHATTY_HOME/chatty.env"
  says up
  sed -i '$d' "$CHATTY_HOME/chatty.env"
  [[ $STATUS == 78 && $(wc -l <<<"$SAID") == 1 && $SAID == *'CHATTY_WORKER, '*'CHATTY_WORKERS?' ]] || wrong "$STATUS, $SAID"
  equal "$(stack_processes)" "$before" 'the list of processes'
}

# -- The build --------------------------------------------------------------------------------------------------------

# fake_swift: a swift first in PATH that has built already, leaves what swift leaves, and notes its environment.
fake_swift() {
  local real
  real=$BATS_FILE_TMPDIR/bin/built
  mkdir -p "$real"
  cp -r "$CHATTY_HOME/bin/." "$real"
  cat >"$BATS_FILE_TMPDIR/bin/swift" <<SWIFT
#!/bin/sh
env >>'$BATS_FILE_TMPDIR/swift-environment'
mktemp -d "\${TMPDIR:-/tmp}/TemporaryDirectory.XXXXXX" >>'$BATS_FILE_TMPDIR/swift-left'
case " \$* " in
*' --version '*) echo 'Swift version 99.0' ;;
*' --show-bin-path '*) echo '$real' ;;
esac
SWIFT
  chmod 755 "$BATS_FILE_TMPDIR/bin/swift"
}

@test "a build has the proxies, and leaves nothing where temporary files are" {
  fake_swift
  TMPDIR=/tmp PATH=$BATS_FILE_TMPDIR/bin:$PATH https_proxy=http://127.0.0.1:9 PGHOST=nowhere up
  grep -qx 'https_proxy=http://127.0.0.1:9' "$BATS_FILE_TMPDIR/swift-environment"
  if grep '^PGHOST' "$BATS_FILE_TMPDIR/swift-environment"; then wrong 'a build that has everything'; fi
  local folder
  [[ -s $BATS_FILE_TMPDIR/swift-left ]]
  while read -r folder; do
    [[ ! -e $folder && ${folder%/*} == /tmp/chatty-build-* && ! -e ${folder%/*} ]] ||
      wrong "$folder is left"
  done <"$BATS_FILE_TMPDIR/swift-left"
}

# forget ROOT: what a build of this checkout does first.
forget() {
  bash -euc 'source "$1/deploy/lib/common.sh"; source "$1/deploy/lib/build.sh"
    ROOT=$2; forget_moved_build' - "$ROOT" "$1"
}

@test "a build in a checkout that was moved or copied begins anew, and says so" {
  local old=$BATS_TEST_TMPDIR/old new=$BATS_TEST_TMPDIR/new
  mkdir -p "$old/.build/release"
  printf '%s\n' 'targets:' '  "one": ["<one>"]' \
    "  \"two\": [\"$old/.build/release/two.o\", \"$old/.build/release/three.o\"]" >"$old/.build/release.yaml"
  run forget "$old"
  equal "$status $output" '0 ' 'where it was built'
  [[ -e $old/.build/release ]]
  cp -r "$old" "$new"
  run forget "$new"
  [[ $status == 0 && $output == *"$old"*"$new/.build"* ]] || wrong "$output"
  [[ ! -e $new/.build && -e $old/.build ]]
  mv "$old" "$new.moved"
  run forget "$new.moved"
  [[ $status == 0 && $output == *"$old"* && ! -e $new.moved/.build ]] || wrong "$output"
  run forget "$new"
  equal "$status $output" '0 ' 'what was never built'
}

# builds ROOT: how often swift was told to build there, each time that `build` was called.
builds() {
  PATH=$1/tools:$PATH bash -euc 'source "$1/deploy/lib/common.sh"; source "$1/deploy/lib/packages.sh"
    source "$1/deploy/lib/build.sh"; ROOT=$2; build' - "$ROOT" "$1" >/dev/null
  wc -l <"$1/builds"
}

@test "swift is not asked to build again what is built of the same sources, by the same toolchain" {
  local checkout=$BATS_TEST_TMPDIR/checkout name
  mkdir -p "$checkout/Sources" "$checkout/.build/release" "$checkout/tools"
  touch "$checkout/Package.swift"
  printf 'one' >"$checkout/Sources/one.swift"
  # shellcheck disable=SC2016 # for the script that is written
  printf '#!/bin/sh\ncase "$*" in *--show-bin-path*) echo "%s" ;; build*) echo built >>"%s" ;; esac\n' \
    "$checkout/.build/release" "$checkout/builds" >"$checkout/tools/swift"
  chmod 755 "$checkout/tools/swift"
  for name in auth posts feed admin recommendations worker image log; do cp /bin/true "$checkout/.build/release/chatty-$name"; done
  cp /bin/true "$checkout/.build/release/chatty"
  equal "$(builds "$checkout")" 1 'the first'
  equal "$(builds "$checkout")" 1 'the same again'
  printf 'two' >"$checkout/Sources/one.swift"
  equal "$(builds "$checkout")" 2 'another text'
  equal "$(builds "$checkout")" 2
  printf 'two' >"$checkout/Sources/two.swift"
  equal "$(builds "$checkout")" 3 'one more file'
  rm "$checkout/.build/release/chatty-feed"
  equal "$(builds "$checkout")" 4 'an executable that is gone'
  cp /bin/true "$checkout/.build/release/chatty-feed"
  touch --date '1 minute' "$checkout/.build/release/chatty-feed"
  equal "$(builds "$checkout")" 5 'one that somebody has built since'
  touch "$checkout/.build/release/chatty-feed"
  touch --date '1 minute ago' "$checkout/tools/swift"
  equal "$(builds "$checkout")" 6 'another toolchain'
  equal "$(builds "$checkout")" 6
}

# -- The folder -------------------------------------------------------------------------------------------------------

@test "root in a folder that nobody else can enter has the stack under /var/lib/chatty, and every script finds it" {
  fake_swift
  local checkout=$BATS_TEST_TMPDIR/root/chatty folder name
  # As somebody leaves it who is interrupted.
  mkdir -p "$checkout/.chatty"
  chmod 700 "$BATS_TEST_TMPDIR/root"
  cp -r "$ROOT"/{deploy,nginx,sql,Package.swift} "$checkout"
  # Where services' users cannot read it either.
  chmod 700 "$BATS_FILE_TMPDIR/bin"
  (
    for name in ${!CHATTY_@}; do if [[ $name != *_PORT ]]; then unset "$name"; fi; done
    CHATTY_PORT=$(free_port)
    export CHATTY_PORT CHATTY_OPS_PORT=$((CHATTY_PORT + 1)) CHATTY_ADDRESS=127.0.0.1 PATH=$BATS_FILE_TMPDIR/bin:$PATH
    cd "$checkout"
    trap './deploy/down </dev/null 3>&- && rm -rf "$(realpath .chatty)"' EXIT
    ./deploy/up </dev/null >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- || wrong "up: $(cat "$BATS_TEST_TMPDIR/said")"
    folder=$(realpath .chatty)
    [[ $folder == /var/lib/chatty/* ]] || wrong "it is in $folder"
    grep -q "$checkout.*$folder" "$BATS_TEST_TMPDIR/said" || wrong "up: $(cat "$BATS_TEST_TMPDIR/said")"
    CHATTY_TEST_URL=http://127.0.0.1:$CHATTY_PORT get /posts
    expect 200
    unset CHATTY_PORT CHATTY_OPS_PORT CHATTY_ADDRESS
    ./deploy/status
    ./deploy/chatty check
    ./deploy/migrate </dev/null
    ./deploy/down 3>&-
    run ./deploy/status
    equal "$status" 1 'the status when it is stopped'
  )
}
