#!/usr/bin/env bats
# What is kept of a picture is what a browser shows of it, whoever has made its file, in its colours.

load support

setup_file() {
  member painter
}

# paints PROGRAM: it finds nothing wrong.
paints() {
  "/usr/bin/python3" "$BATS_TEST_DIRNAME/$1" "$CHATTY_TEST_URL" "$(token_of painter)" >"$BATS_TEST_TMPDIR/output" 2>&1 || {
    grep -v '^ok' "$BATS_TEST_TMPDIR/output" >&2
    return 1
  }
}

@test "colours come out as they went in, of every kind of picture with every profile, and after five more times" {
  paints colours.py
}

@test "pictures with something wrong in their files are taken as browsers show them, and nothing else of them is kept" {
  paints odd_pictures.py
}

@test "animations with something wrong in their files are kept as far as browsers show them, and none wears out" {
  paints animations.py
}

@test "colours that a picture says by numbers and by tables are shown as they are meant" {
  paints said_colours.py
}
