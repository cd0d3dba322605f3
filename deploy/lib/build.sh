# shellcheck shell=bash
# From the sources to the executables that the stack runs.

# need_swift: the version that Package.swift asks for, or later.
need_swift() {
  local wanted found
  wanted=$(sed -n '1s/.*swift-tools-version: *//p' "$ROOT/Package.swift")
  command -v swift >/dev/null || fail "there is no swift: install Swift $wanted or later as https://www.swift.org/install/linux/ tells (the archive for Debian 12, unpacked under /opt) and put its usr/bin into PATH"
  found=$(run_swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9.]+).*/\1/p' | head -n 1)
  [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1) == "$wanted" ]] ||
    fail "swift is ${found:-of an unknown version}: Swift $wanted or later is needed, see https://www.swift.org/install/linux/"
}

# run_swift ARGUMENT…: swift leaves folders where temporary files go: it gets a folder of its own for them, which is removed.
run_swift() (
  folder=$(mktemp --directory --tmpdir chatty-build-XXXXXX)
  trap 'rm -rf "$folder"' EXIT
  TMPDIR=$folder outside swift "$@"
)

# forget_moved_build: .build is full of absolute paths, so in a checkout that was moved or copied nothing in it can be used again, and
# swift fails with what it finds there.
forget_moved_build() {
  local plan=$ROOT/.build/release.yaml built
  if [[ ! -e $plan ]]; then return; fi
  built=$(grep --only-matching --max-count 1 '"/[^"]*/\.build/' "$plan" | head -n 1) || true
  built=${built#\"} built=${built%/}
  if [[ -z $built || $built -ef $ROOT/.build ]]; then return; fi
  say "this checkout was built in ${built%/.build}: removing $ROOT/.build, all is built anew"
  rm -rf "$ROOT/.build"
}

# build: the executables, into the folder BUILT; build_tests: the tests too. What one has built the other does not build again.
build() {
  if ! is_built; then swift_build; fi
  BUILT=$(run_swift build --package-path "$ROOT" --configuration release --show-bin-path </dev/null)
}
build_tests() { swift_build --build-tests; }

swift_build() {
  forget_moved_build
  say 'building (the first time takes some minutes)'
  run_swift build --package-path "$ROOT" --configuration release "$@" </dev/null || fail 'the build failed'
  if [[ -d $ROOT/.build ]]; then digest_of_sources >"$ROOT/.build/chatty.built"; fi
}

# is_built: the executables are of these sources and this toolchain, and nobody has built since. swift build takes 6 seconds to find that out.
is_built() {
  local mark=$ROOT/.build/chatty.built name
  [[ -e $mark && $(<"$mark") == "$(digest_of_sources)" ]] || return
  for name in "${EXECUTABLES[@]}"; do
    [[ -x $ROOT/.build/release/$name && ! $ROOT/.build/release/$name -nt $mark ]] || return
  done
}

# digest_of_sources: changes with whatever the executables are made of: the sources, the toolchain, the headers of Debian's packages, and where.
digest_of_sources() {
  {
    printf '%s\n' "$ROOT"
    stat --dereference --format '%n %Y' "$(command -v swift)"
    dpkg-query --show "${BUILD_PACKAGES[@]}" 2>/dev/null || true
    cd "$ROOT" && find Package.* Sources -type f -print0 | sort --zero-terminated | xargs --null sha256sum
  } | sha256sum
}

# install_log_keeper: where there is none yet: every service's log needs it, PostgreSQL's too, which starts before the others are put there.
install_log_keeper() {
  local name=chatty-log
  if [[ ! -e $CHATTY_HOME/bin/$name ]]; then install_file "$BUILT/$name" "$CHATTY_HOME/bin/$name"; fi
}

# install_executables: copies what is new, so that a build never touches what is running.
install_executables() {
  local name
  for name in "${EXECUTABLES[@]}"; do
    [[ -x $BUILT/$name ]] || fail "the build made no $name"
    install_file "$BUILT/$name" "$CHATTY_HOME/bin/$name"
  done
  install_runtime "$BUILT/chatty-auth"
}

install_file() {
  if cmp --silent "$1" "$2"; then return; fi
  install --mode 755 "$1" "$2.new"
  mv "$2.new" "$2"
  did "installed ${2##*/}"
}

# install_runtime EXECUTABLE: Swift's libraries, beside the executables, if the toolchain is where the services' users cannot read it.
install_runtime() {
  local library
  ldd "$1" | sed -nE 's/.* => (\/.*\/swift\/linux\/[^ ]+\.so).*/\1/p' | while read -r library; do
    if ! is_root || setpriv --reuid=nobody --regid=nogroup --clear-groups test -r "$library"; then continue; fi
    install_file "$library" "$CHATTY_HOME/bin/${library##*/}"
  done
}
