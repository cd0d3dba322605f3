#!/usr/bin/env bats
# Somebody speaks FastCGI to the pools' sockets who is not nginx.

load ../smoke/support
load ../smoke/stack

setup_file() {
  start_stack
  member ada
}

teardown_file() {
  stop_stack
}

frames() { /usr/bin/python3 "$BATS_TEST_DIRNAME/frames.py" "$1" "$CHATTY_HOME/run/$2.sock" "${@:3}"; }

@test "whatever frames come, no worker dies of them, and nothing of it is in a log" {
  local pool before seed=$RANDOM
  echo "# seed $seed" >&3
  # PostgreSQL has a process for each connection, and they are opened when needed.
  before=$(stack_processes | grep -v postgres)
  for pool in auth login posts uploads feed admin recommendations; do
    run frames hostile "$pool" "$seed"
    [[ $status == 0 && $output -gt 500 ]] || wrong "$pool: $output"
  done
  equal "$(stack_processes | grep -v postgres)" "$before" 'the list of processes'
  "$ROOT/deploy/status"
  if grep -raE 'Fatal error|Crash|Registers' "$CHATTY_HOME/log" >&2; then wrong 'something has crashed'; fi
}

@test "hundreds of requests that are left in the middle keep nobody from logging in and uploading" {
  local pool pid
  vips black "$BATS_TEST_TMPDIR/black.png" 20 20
  for pool in login uploads posts; do
    coproc HALVES { frames halves "$pool" 300 3>&-; }
    read -r <&"${HALVES[0]}"
    log_in ada
    for _ in 1 2 3 4 5 6; do
      as ada call POST /posts '' --form title=x --form content=y --form "image=@$BATS_TEST_TMPDIR/black.png"
      expect 200
      new_post ada
    done
    pid=$HALVES_PID
    eval "exec ${HALVES[1]}>&-"
    wait "$pid" || true
  done
}

@test "a form is decoded by the pool for images alone, whatever nginx thinks of it" {
  equal "$(frames form posts "$(token_of ada)")" 415
  equal "$(frames form uploads "$(token_of ada)")" 200
}

@test "nginx knows a form behind any blanks" {
  local id n=0 blanks
  vips black "$BATS_TEST_TMPDIR/black.png" 20 20
  {
    printf -- '--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n--b\r\nContent-Disposition: form-data; name="content"\r\n\r\nc\r\n'
    printf -- '--b\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\nContent-Type: image/png\r\n\r\n'
    cat "$BATS_TEST_TMPDIR/black.png"
    printf -- '\r\n--b--\r\n'
  } >"$BATS_TEST_TMPDIR/form"
  for blanks in '' ' ' $'\t' $' \t' $'\t\t ' $'\t \t'; do
    id=blanks-$$-$((++n))
    as ada call POST /posts '' --header "Content-Type:${blanks}Multipart/Form-Data; boundary=b" --header "X-Request-ID: $id" --data-binary "@$BATS_TEST_TMPDIR/form"
    [[ $CODE == 200 || $CODE == 415 ]] || wrong 'neither taken nor refused'
    eventually 10 grep -qF "\"$id\",\"pool\":\"uploads\"" "$CHATTY_HOME/log/nginx/current" || wrong "a form behind blanks went to another pool"
  done
}

@test "a dying worker writes where it was, and nothing that was in its memory" {
  local pid
  pid=$(workers chatty-posts | head -n 1)
  kill -ILL "$pid"
  eventually 60 "$ROOT/deploy/status" >/dev/null
  if grep -raE 'Registers:|^ *r[a-d]x |Images \(' "$CHATTY_HOME/log" >&2; then wrong 'registers are in a log'; fi
}
