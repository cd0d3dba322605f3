# shellcheck shell=bash
# Debian packages: which are missing, and installing them without starting anything of theirs.
# shellcheck disable=SC2034 # what it sets is for other files

readonly RUN_PACKAGES=(ca-certificates nginx spawn-fcgi multiwatch runit bubblewrap procps curl jq)
readonly BUILD_PACKAGES=(libfcgi-dev libpq-dev libcrypt-dev libcurl4-openssl-dev libturbojpeg0-dev libspng-dev libwebp-dev libgif-dev
  liblcms2-dev pkg-config)
readonly TEST_PACKAGES=(bats shellcheck wrk python3 python3-aiosmtpd python3-cryptography python3-passlib python3-bcrypt python3-jwt python3-numpy postgresql-contrib
  python3-pil libvips-tools libimage-exiftool-perl nodejs locales pgbouncer)

# have PACKAGE: installed, or there from another source.
have() {
  case $1 in
    postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ;;
    postgresql-client) command -v psql >/dev/null ;;
    nginx | curl | jq | spawn-fcgi | multiwatch | bats | shellcheck | wrk | pkg-config) command -v "$1" >/dev/null ;;
    bubblewrap) command -v bwrap >/dev/null ;;
    runit) command -v runsvdir >/dev/null ;;
    postgresql-contrib) compgen -G '/usr/lib/postgresql/*/bin/pgbench' >/dev/null ;;
    *) [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null) == installed ]] ;;
  esac
}

# need_packages PACKAGE…: installs those that are missing.
need_packages() {
  local package missing=() as_root=()
  for package; do if ! have "$package"; then missing+=("$package"); fi; done
  if ((${#missing[@]} == 0)); then return; fi
  command -v apt-get >/dev/null || fail "these are missing, by their names in Debian: ${missing[*]}"
  if ! is_root; then
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
      as_root=(sudo)
    else
      fail "these packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
    fi
  fi
  remove_leftovers "${as_root[@]}"
  say "installing ${missing[*]}"
  # A shell of its own has traps of its own: whatever ends it, what it has put there goes.
  (
    trap 'release_services "${as_root[@]}"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    hold_services "${as_root[@]}" && install_packages "${missing[@]}"
  ) || fail "apt-get could not install ${missing[*]}"
}

# install_packages PACKAGE…: as_root is the caller's. In runlevel 1 invoke-rc.d starts nothing (runlevel(8) tells what RUNLEVEL says).
install_packages() {
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get --quiet)
  local install=("${apt[@]}" install --yes --no-install-recommends "$@")
  outside "${install[@]}" </dev/null || { outside "${apt[@]}" update </dev/null && outside "${install[@]}" </dev/null; }
}

# nginx and PostgreSQL are run by the stack, pgbouncer by a test. Their packages would start services of their own, and make a cluster "main".
readonly CLUSTER_POLICY=/etc/postgresql-common/createcluster.d/chatty.conf
readonly CLUSTER_POLICY_TEXT='create_main_cluster = false'

# has_systemd: it runs here (sd_booted(3)). In a chroot systemctl says yes to everything.
has_systemd() { [[ -d /run/systemd/system ]] && command -v systemctl >/dev/null; }

# hold_services [sudo]: those that are not installed yet.
hold_services() {
  local service
  HELD=()
  for service in nginx postgresql pgbouncer; do if ! have "$service"; then HELD+=("$service"); fi; done
  if ((${#HELD[@]} == 0)); then return; fi
  "$@" mkdir -p "${CLUSTER_POLICY%/*}" && printf '%s\n' "$CLUSTER_POLICY_TEXT" | "$@" tee "$CLUSTER_POLICY" >/dev/null || return
  # deb-systemd-invoke starts nothing that is masked.
  if has_systemd; then "$@" systemctl --quiet mask --runtime "${HELD[@]/%/.service}"; fi
}

# release_services [sudo]: whatever has ended the installation, and though somebody is impatient.
release_services() {
  local service
  trap '' HUP INT TERM
  if ((${#HELD[@]} == 0)); then return; fi
  "$@" rm -f "$CLUSTER_POLICY"
  if has_systemd; then "$@" systemctl --quiet unmask --runtime "${HELD[@]/%/.service}" || true; fi
  for service in "${HELD[@]}"; do
    # Nor at the next boot.
    if command -v systemctl >/dev/null; then "$@" systemctl --quiet disable "$service.service" 2>/dev/null || true; fi
    if command -v update-rc.d >/dev/null; then "$@" update-rc.d "$service" disable >/dev/null 2>&1 || true; fi
  done
}

# Earlier versions forbade all services to start while they installed, and left that behind when they were cut off.
readonly POLICY=/usr/sbin/policy-rc.d
readonly EARLIER_POLICY=$'#!/bin/sh\nexit 101'

# remove_leftovers [sudo]
remove_leftovers() {
  if [[ -f $POLICY && $(<"$POLICY") == "$EARLIER_POLICY" ]]; then
    "$@" rm -f "$POLICY"
    did "removed $POLICY, which an earlier deploy/up had left: packages may start services again"
  fi
  if [[ -f $CLUSTER_POLICY && $(<"$CLUSTER_POLICY") == "$CLUSTER_POLICY_TEXT" ]]; then
    "$@" rm -f "$CLUSTER_POLICY"
    did "removed $CLUSTER_POLICY, which an earlier deploy/up had left: packages of PostgreSQL may make clusters again"
  fi
}
