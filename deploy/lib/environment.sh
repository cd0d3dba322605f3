# shellcheck shell=bash
# What a script of deploy/ takes from whoever calls it: a few named variables, and the arguments that it knows. Each script begins with
# clean_environment, offer_help, and take_no_arguments where it takes none. Needs settings.sh.

PROGRAM=${0##*/}
# NAME=value of what only outside gives away.
OUTSIDE=()

# What scripts and the programs that they call may find in their environment. CHATTY_* are settings, and check_variables looks at them.
readonly KEPT_VARIABLES='^(HOME|PATH|USER|LOGNAME|SHELL|TERM|COLUMNS|TMPDIR|CHATTY_.*)$'

# What only programs get that load something from elsewhere, or build: proxies, certificates, and where a toolchain is. Requests to
# this machine must not go through a proxy.
readonly OUTSIDE_VARIABLES='^((http|https|ftp|all|no)_proxy|(HTTP|HTTPS|FTP|ALL|NO)_PROXY|'\
'SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|GIT_(SSL|CONFIG).*|APT_CONFIG|SWIFT.*|'\
'TOOLCHAINS|SDKROOT|PKG_CONFIG_PATH|LD_LIBRARY_PATH|XDG_(CACHE|CONFIG)_HOME)$'

# Variables that are no settings: whose stack it is, what deploy/up gives deploy/migrate, tests and measurements.
readonly OTHER_VARIABLES=(CHATTY_HOME CHATTY_CONNECTION_LIMITS CHATTY_TEST_URL CHATTY_TEST_OPS_URL
  CHATTY_TEST_DATABASE_URL CHATTY_FUZZ_FOLDER CHATTY_BENCH_SECONDS CHATTY_BENCH_ROUNDS CHATTY_BENCH_LIKES)

# clean_environment ARGUMENT…: starts this script again, in the same process, with the variables that it may have, and in the locale C.UTF-8:
# letters are the same for everybody, and functions, options and variables that change how bash and other programs work are gone.
# Only names are arguments of env, since everybody can read those (ps).
clean_environment() {
  local entry name outside=() dropped=()
  if [[ ${CLEAN_PROCESS-} != "$$" ]]; then
    set +o posix
    while IFS= read -r -d '' entry; do
      name=${entry%%=*}
      if [[ -n $name && ! $name =~ $KEPT_VARIABLES && ! $name =~ $OUTSIDE_VARIABLES ]]; then dropped+=(-u "$name"); fi
    done < <(env -0)
    exec env "${dropped[@]}" LC_ALL=C.UTF-8 CLEAN_PROCESS=$$ "$BASH" -- "$0" "$@"
  fi
  unset CLEAN_PROCESS
  umask 022
  if [[ -n ${TMPDIR-} && ! (-d $TMPDIR && -w $TMPDIR) ]]; then unset TMPDIR; fi
  # Exported, they would be in everybody's environment.
  for name in $(compgen -e); do
    if [[ $name =~ $OUTSIDE_VARIABLES ]]; then
      outside+=("$name=${!name}")
      unset "$name"
    fi
  done
  OUTSIDE=("${outside[@]}")
  check_variables
}

# outside COMMAND…: with the variables for what comes from elsewhere.
outside() (
  local variable
  for variable in "${OUTSIDE[@]}"; do export "${variable?}"; done
  "$@"
)

# check_variables: a name that is mistyped would change nothing, and nobody would notice.
check_variables() {
  local name
  for name in $(compgen -A export CHATTY_); do
    # An empty variable counts as not set.
    if [[ -n ${!name} && -z ${SETTING_KIND[$name]-} && " ${OTHER_VARIABLES[*]} " != *" $name "* ]]; then
      fail_setting "$name" "is in the environment and is no setting$(suggest "$name" "${SETTING_NAMES[@]}" "${OTHER_VARIABLES[@]}")"
    fi
  done
}

# offer_help ARGUMENT…: --help prints the comment at the head of the script, and nothing else happens.
offer_help() {
  local argument
  for argument; do
    if [[ $argument == --help || $argument == -h ]]; then
      sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"
      exit 0
    fi
  done
}

# take_no_arguments ARGUMENT…
take_no_arguments() { if (($# > 0)); then fail_usage "does not know '$1'"; fi; }

# fail_usage TEXT…: status 64 (EX_USAGE). Nothing has been done.
fail_usage() {
  printf '%s: %s; deploy/%s --help tells more\n' "$PROGRAM" "$*" "$PROGRAM" >&2
  exit 64
}
