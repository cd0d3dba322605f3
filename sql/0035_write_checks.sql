-- Whether the database takes writes: a service that is asked whether it is ready writes something and rolls it back
-- (Sources/ServiceKit/Run/Readiness.swift).

-- Each service has a row of its own, and can neither see another's nor keep it locked. Nothing can be stored here: the column that may be
-- set is generated, and all that it can be set to is what it is.
CREATE TABLE write_checks (
  role name PRIMARY KEY,
  lock boolean NOT NULL GENERATED ALWAYS AS (true) STORED
);
INSERT INTO write_checks (role)
VALUES ('chatty_auth'), ('chatty_posts'), ('chatty_feed'), ('chatty_admin'), ('chatty_recommendations');

ALTER TABLE write_checks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON write_checks USING (role = current_user);
GRANT SELECT, UPDATE (lock) ON write_checks TO chatty_auth, chatty_posts, chatty_feed, chatty_admin, chatty_recommendations;

-- Writes the caller's row and takes that back; an error says why it could not. The transaction around it has a number and a record in the
-- log, so its commit waits for the disk as any other does. The version of the row that is given up makes way for the next ones when its
-- page is full, without VACUUM, as no index knows of it.
CREATE FUNCTION check_writing() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE write_checks SET lock = DEFAULT WHERE role = current_user;
  IF NOT FOUND THEN RAISE 'write_checks has no row of %', current_user; END IF;
  RAISE SQLSTATE 'ZW000';
EXCEPTION
  -- Back to before the UPDATE.
  WHEN SQLSTATE 'ZW000' THEN NULL;
END $$;

GRANT EXECUTE ON FUNCTION check_writing TO chatty_auth, chatty_posts, chatty_feed, chatty_admin, chatty_recommendations;
