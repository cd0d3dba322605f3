# shellcheck shell=bash
# The folder of a stack, CHATTY_HOME: where it is, who may enter it, and what is in it.

# find_home: the folder of a stack that deploy/up has made; for every script but up.
find_home() {
  CHATTY_HOME=${CHATTY_HOME:-$ROOT/.chatty}
  [[ -d $CHATTY_HOME ]] || fail "there is no stack in $CHATTY_HOME yet: run deploy/up"
  CHATTY_HOME=$(realpath "$CHATTY_HOME")
  export CHATTY_HOME
  check_owner
}

# make_home: the folder of this stack, made where it is missing.
make_home() {
  local given=${CHATTY_HOME-}
  if [[ -n $given ]]; then
    CHATTY_HOME=$(realpath --canonicalize-missing "$given")
  else
    CHATTY_HOME=$(default_home)
  fi
  export CHATTY_HOME
  [[ $CHATTY_HOME =~ ^[A-Za-z0-9/._-]+$ ]] || fail "CHATTY_HOME is '$CHATTY_HOME': only letters, digits and / . _ - can be in it"
  # What fits into a socket's address (unix(7)), its closing NUL included.
  local longest=$CHATTY_HOME/run/recommendations.sock.new
  ((${#longest} < 108)) || fail "CHATTY_HOME is $CHATTY_HOME, too long for the address of a socket by $((${#longest} - 107)): choose a shorter one"
  mkdir -p "$CHATTY_HOME"
  check_owner
  chmod 755 "$CHATTY_HOME"
  is_reachable "$CHATTY_HOME" ||
    fail "CHATTY_HOME is $CHATTY_HOME, which the services' users cannot enter: choose another, or let others enter it and all folders above it"
}

# default_home: .chatty in the checkout. Where the services' users could not get there, it becomes a link to a folder under
# /var/lib/chatty.
default_home() {
  local link=$ROOT/.chatty folder
  if [[ -L $link ]]; then
    realpath --canonicalize-missing "$link"
    return
  fi
  # An empty one was left by somebody who was interrupted here.
  if [[ ! -e $link ]] || rmdir "$link" 2>/dev/null; then
    mkdir "$link"
    chmod 755 "$link"
    if is_reachable "$link"; then
      realpath "$link"
      return
    fi
    rmdir "$link"
    folder=/var/lib/chatty/$(basename "$ROOT" | tr -c 'A-Za-z0-9._\n-' _)-$(printf '%s' "$ROOT" | sha256sum | cut -c 1-8)
    install --directory --mode 755 /var/lib/chatty "$folder"
    ln -s "$folder" "$link"
    say "the services' users cannot enter $ROOT: $link is a link to $folder" >&2
    printf '%s' "$folder"
    return
  fi
  realpath "$link"
}

# is_reachable FOLDER: whether others than its owner can enter it; they only have to where services have users of their own.
is_reachable() {
  ! is_root || setpriv --reuid=nobody --regid=nogroup --clear-groups test -x "$1"
}

check_owner() {
  [[ -O $CHATTY_HOME ]] || fail "$CHATTY_HOME belongs to $(stat -c %U "$CHATTY_HOME"): run this as that user"
}

# lock_home: waits while another script works on this stack.
lock_home() {
  exec {LOCK}>"$CHATTY_HOME/lock"
  if ! flock --nonblock "$LOCK"; then
    say 'waiting: another script is at work on this stack'
    flock "$LOCK"
  fi
}

# make_users: the system users that the services run as.
make_users() {
  local name
  for name in chatty-auth chatty-posts chatty-feed chatty-admin chatty-recommendations chatty-worker; do
    if ! getent passwd "$name" >/dev/null; then
      useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$name"
      did "made the system user $name"
    fi
  done
}

# folder NAME MODE [OWNER [GROUP]]: in the stack's folder; owners only matter where root gives them.
folder() {
  local owner=()
  if is_root; then owner=(--owner "${3-root}" --group "${4-root}"); fi
  install --directory --mode "$2" "${owner[@]}" "$CHATTY_HOME/$1"
}

make_folders() {
  folder bin 755
  folder etc 755
  folder env 700
  folder log 750
  folder service 755
  folder nginx 755
  folder nginx/tmp 755
  folder nginx/html 755
  folder secrets 711
  # PostgreSQL puts its socket here too, and may touch nobody else's.
  if has_private_cluster; then folder run 1775 root "$(postgres_user)"; else folder run 755; fi
  folder mail 700 chatty-worker chatty-worker
  # What the worker writes there belongs to the folder's group, and so can be read by the service.
  folder recommendations 2750 chatty-worker chatty-recommendations
  # The post service adds images, the worker, which has its group, removes them, nginx serves them.
  folder media 775 root chatty-posts
  make_thumbnails
  # Of the first key the owner is the user whose group this is.
  if [[ $CHATTY_KEYS == "$CHATTY_HOME/keys" ]]; then folder keys 755 root chatty-auth; fi
}

# make_thumbnails: the one folder in another that services write to. It is made elsewhere and put there whole: whatever is done by its
# name in media, a service could have done to something else, by a link.
make_thumbnails() {
  local folder=$CHATTY_HOME/media/thumbnails
  if [[ ! -L $folder && -d $folder ]]; then return; fi
  if [[ -L $folder || -e $folder ]]; then fail "$folder is no folder: somebody has put something in its place, look who it was"; fi
  folder thumbnails.new 775 root chatty-posts
  mv --no-target-directory --no-clobber "$CHATTY_HOME/thumbnails.new" "$folder"
  if [[ -e $CHATTY_HOME/thumbnails.new ]]; then fail "$folder cannot be made: somebody has put something in its place"; fi
}

# protect_secrets: each role's password is for the service that is this role.
protect_secrets() {
  local role file
  for role in "${ROLES[@]}"; do
    file=$CHATTY_HOME/secrets/$role.password
    [[ -s $file ]] || fail "deploy/migrate has not made $file"
    if is_root && [[ $role != operator ]]; then chown "chatty-$role:chatty-$role" "$file"; fi
    chmod 400 "$file"
  done
}
