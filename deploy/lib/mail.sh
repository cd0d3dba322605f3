# shellcheck shell=bash
# What an operator is told about mail.

# warn_of_local_links: a mail that leaves this machine carries the public address in its links.
warn_of_local_links() {
  if [[ -z $CHATTY_SMTP_URL ]]; then return; fi
  if [[ ${CHATTY_PUBLIC_URL,,} =~ ^https?://(localhost|127(\.[0-9]+){1,3}|\[::1\])(:[0-9]+)?/*$ ]]; then
    printf '%s: warning: CHATTY_SMTP_URL is set, but CHATTY_PUBLIC_URL is %s: links in mails lead readers to their own machine\n' \
      "$PROGRAM" "$CHATTY_PUBLIC_URL" >&2
  fi
}
