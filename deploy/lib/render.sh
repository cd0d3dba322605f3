# shellcheck shell=bash
# Templates: text with names between two @.
# shellcheck disable=SC2034 # what it sets is for other files

declare -A VALUES

# render TEMPLATE FILE MODE: writes FILE with the names replaced by VALUES, if that makes a difference: RENDERED is true or false.
render() {
  local text name
  text=$(<"$1")
  for name in "${!VALUES[@]}"; do text=${text//"@$name@"/"${VALUES[$name]}"}; done
  if [[ $text =~ @[A-Z_]+@ ]]; then fail "$1 has ${BASH_REMATCH[0]}, which stands for nothing"; fi
  write_file "$2" "$3" "$text"
}

# write_file FILE MODE TEXT: whole, and only if it makes a difference: RENDERED is true or false.
write_file() {
  RENDERED=false
  if [[ -f $1 && $(<"$1") == "$3" ]]; then return; fi
  printf '%s\n' "$3" >"$1.new"
  chmod "$2" "$1.new"
  mv "$1.new" "$1"
  RENDERED=true
}
