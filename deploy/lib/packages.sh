# shellcheck shell=bash
# Debian packages: which are missing, and installing them without starting anything of theirs.
# shellcheck disable=SC2034 # what it sets is for other files

readonly RUN_PACKAGES=(ca-certificates nginx spawn-fcgi multiwatch runit bubblewrap procps curl jq)
readonly BUILD_PACKAGES=(libfcgi-dev libpq-dev libcrypt-dev libcurl4-openssl-dev libturbojpeg0-dev libspng-dev libwebp-dev libgif-dev
  liblcms2-dev pkg-config)
readonly TEST_PACKAGES=(bats shellcheck wrk python3 python3-aiosmtpd python3-cryptography python3-passlib python3-bcrypt python3-jwt python3-numpy postgresql-contrib
  python3-pil libvips-tools libimage-exiftool-perl nodejs locales)

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
  say "installing ${missing[*]}"
  hold_services "${as_root[@]}"
  local status=0
  install_packages "${missing[@]}" || status=$?
  release_services "${as_root[@]}"
  ((status == 0)) || fail "apt-get could not install ${missing[*]}"
}

# install_packages PACKAGE…: as_root is the caller's.
install_packages() {
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@")
  outside "${install[@]}" </dev/null || { outside "${as_root[@]}" apt-get update --quiet </dev/null && outside "${install[@]}" </dev/null; }
}

# nginx and PostgreSQL are run by the stack. Their packages would start services of their own, and make a cluster "main".
readonly POLICY=/usr/sbin/policy-rc.d
readonly CLUSTER_POLICY=/etc/postgresql-common/createcluster.d/chatty.conf

# hold_services [sudo]
hold_services() {
  HELD=()
  local service
  for service in nginx postgresql; do if ! have "$service"; then HELD+=("$service"); fi; done
  if [[ ! -e $POLICY ]]; then
    printf '#!/bin/sh\nexit 101\n' | "$@" tee "$POLICY" >/dev/null
    "$@" chmod 755 "$POLICY"
    HELD+=(policy)
  fi
  "$@" mkdir -p "${CLUSTER_POLICY%/*}"
  printf 'create_main_cluster = false\n' | "$@" tee "$CLUSTER_POLICY" >/dev/null
}

# release_services [sudo]
release_services() {
  local service
  "$@" rm -f "$CLUSTER_POLICY"
  for service in "${HELD[@]}"; do
    if [[ $service == policy ]]; then
      "$@" rm -f "$POLICY"
    else
      # Nor at the next boot.
      if command -v systemctl >/dev/null; then "$@" systemctl --quiet disable "$service.service" 2>/dev/null || true; fi
      if command -v update-rc.d >/dev/null; then "$@" update-rc.d "$service" disable >/dev/null 2>&1 || true; fi
    fi
  done
}
