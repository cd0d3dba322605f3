# shellcheck shell=bash
# The address of a database as PostgreSQL has it, postgresql://user:password@host,host:port/database?keyword=value (libpq, 34.1.1.2): whether
# it has that form, and its password, which is no argument of any program, since everybody can read those (ps).
# shellcheck disable=SC2034 # what it sets is for other files

# check_database_address NAME: the address that is this setting. Its text is not shown: it may hold a password.
check_database_address() {
  local name=$1 rest=${!1#*://} authority query parameter host user='' list
  local unpaired='%($|[^0-9A-Fa-f]|[0-9A-Fa-f]($|[^0-9A-Fa-f]))' plain='^([A-Za-z0-9._~!$&'\''()*+,;=:-]|%..)*$'
  local numbered='^(\[[0-9A-Fa-f:.]+\]|[^]:[]*)(:([0-9]{0,5}))?$'
  [[ ! $rest =~ $unpaired && $rest != *%00* ]] ||
    fail_setting "$name" "has a % without two hexadecimal digits behind it that name a character: a % in a password is written as %25"
  authority=${rest%%[/?]*} query=''
  if [[ $rest == *\?* ]]; then query=${rest#*\?}; fi
  if [[ $authority == *@* ]]; then user=${authority%@*}; fi
  # An @ behind that, and where another is cut off from it, was not the last character of who to be.
  if [[ ! $user =~ $plain || ${rest%%/*} == *\?*@* || ${rest%%\?*} == */*@* ]]; then
    fail_setting "$name" "has a character in its user or password that has to be written as % and two hexadecimal digits: %40 for @, %2F for /,\
 %3F for ?, %23 for #, and so on for all but letters, digits and - . _ ~"
  fi
  IFS=, read -ra list <<<"${authority##*@}"
  for host in "${list[@]}"; do
    if [[ ! $host =~ $numbered ]] || { [[ -n ${BASH_REMATCH[3]} ]] && ((10#${BASH_REMATCH[3]} < 1 || 10#${BASH_REMATCH[3]} > 65535)); }; then
      fail_setting "$name" 'has a host that is not a name or an address with a port from 1 to 65535 behind it, such as db.example:5432 or [::1]:5432'
    fi
  done
  IFS='&' read -ra list <<<"$query"
  for parameter in "${list[@]}"; do
    [[ $parameter == ?*=* ]] || fail_setting "$name" 'has something behind its ? that is not keyword=value'
  done
}

# decode TEXT: sets DECODED, the text that its percent escapes stand for; check_database_address has looked at them.
decode() {
  local text=${1//\\/\\\\}
  printf -v DECODED '%b' "${text//%/\\x}"
}

# take_password ADDRESS: sets ADDRESS, which has none any more, and PASSWORD, decoded. It may be before the host or among the parameters.
take_password() {
  local before='^(postgres(ql)?://[^/@:?]*):([^/@?]*)@(.*)$' among='^([^?]*\?(.*&)?)password=([^&]*)&?(.*)$' encoded=''
  ADDRESS=$1
  if [[ $ADDRESS =~ $before ]]; then ADDRESS=${BASH_REMATCH[1]}@${BASH_REMATCH[4]} encoded=${BASH_REMATCH[3]}; fi
  while [[ $ADDRESS =~ $among ]]; do ADDRESS=${BASH_REMATCH[1]}${BASH_REMATCH[4]} encoded=${BASH_REMATCH[3]}; done
  decode "$encoded"
  PASSWORD=$DECODED
}

# parameter_of ADDRESS KEYWORD: sets DECODED, the value that the address gives it, or nothing.
parameter_of() {
  local pattern="^[^?]*\\?(.*&)?$2=([^&]*)"
  decode "$(if [[ $1 =~ $pattern ]]; then printf '%s' "${BASH_REMATCH[2]}"; fi)"
}
