-- The secret that the server keeps in the place of a password (RFC 5802, RFC 7677): the same one each time for the same password. Left to itself
-- the server takes another salt each time, and a pooler that has logged in with the keys of before is refused when it next opens a session.

-- HMAC (RFC 2104) with a key of 64 bytes at most that has been combined with its two pads.
CREATE FUNCTION pg_temp.hmac(inside bytea, outside bytea, message bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256(outside || sha256(inside || message))
$$;

CREATE FUNCTION pg_temp.pad(key bytea, pad integer) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
  SELECT string_agg(set_byte('\x00', 0, (CASE WHEN n < length(key) THEN get_byte(key, n) ELSE 0 END) # pad), '' ORDER BY n) FROM generate_series(0, 63) n
$$;

-- The password is ASCII. It is random, so the salt need not be: it only has to be another for each role.
CREATE FUNCTION pg_temp.scram_secret(role text, password text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  rounds CONSTANT integer := 4096;
  salt CONSTANT bytea := substring(sha256(convert_to(role, 'UTF8')) FROM 1 FOR 16);
  key bytea := convert_to(password, 'UTF8');
  inside bytea;
  outside bytea;
  round bytea;
  sum bit(256);
BEGIN
  IF length(key) > 64 THEN key := sha256(key); END IF;
  inside := pg_temp.pad(key, 54);
  outside := pg_temp.pad(key, 92);
  -- PBKDF2 (RFC 8018), of which 32 bytes are one block.
  round := sha256(outside || sha256(inside || salt || '\x00000001'));
  sum := ('x' || encode(round, 'hex'))::bit(256);
  FOR _ IN 2..rounds LOOP
    round := sha256(outside || sha256(inside || round));
    sum := sum # ('x' || encode(round, 'hex'))::bit(256);
  END LOOP;
  key := (SELECT string_agg(int4send(substring(sum FROM 32 * n + 1 FOR 32)::bit(32)::integer), '' ORDER BY n) FROM generate_series(0, 7) n);
  inside := pg_temp.pad(key, 54);
  outside := pg_temp.pad(key, 92);
  RETURN format('SCRAM-SHA-256$%s:%s$%s:%s', rounds, encode(salt, 'base64'),
    encode(sha256(pg_temp.hmac(inside, outside, 'Client Key')), 'base64'), encode(pg_temp.hmac(inside, outside, 'Server Key'), 'base64'));
END $$;
