-- A refresh token that was replaced is good for some seconds more, for the same answer: two tabs refresh at once, an answer is lost.

ALTER TABLE sessions
  ADD COLUMN previous_hash bytea CHECK (octet_length(previous_hash) = 32),
  ADD COLUMN rotated_at timestamptz,
  -- The tokens that took its place, encrypted with a key that is made of the replaced token and kept nowhere
  -- (Sources/AuthService/SecretToken.swift).
  ADD COLUMN successor bytea;

GRANT UPDATE (previous_hash, rotated_at, successor) ON sessions TO chatty_auth;
