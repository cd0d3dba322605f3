-- Accounts whose state has changed and whose rows are still to follow: what a blocked user has written is hidden row by row, that of one
-- who is no longer blocked comes back, and that of a deleted account goes. However much there is, it is done in steps, each a transaction
-- of its own that takes some milliseconds; chatty-worker goes from one to the next (Sources/Worker/Settler.swift).
--
-- The state is the account's alone, and at once: every statement that shows something asks for it. What follows later are the indexes and
-- the counters. A step compares what there is with the state that it finds, so a worker may die in the middle of one, and the state
-- may change between two, and the end is the same.

-- The functions here go by indexes, whatever the statistics say: where nearly everybody follows the same user, a scan of the table looks like
-- the quickest way to a row, and is the longest to find out that there is none.

ALTER TABLE users
  -- The account is deleted: blocked for good, without an address or a password. Only its name is kept, so that nobody else gets it soon.
  ADD COLUMN deleted_at timestamptz CHECK (deleted_at IS NULL OR blocked_at IS NOT NULL);
CREATE INDEX users_deleted ON users (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX users_admins ON users (id) WHERE role = 'admin';

-- What one does at a time (0022_turns.sql): steps of settling, since what two of them count would be locked in two orders; and admins who
-- delete their accounts, of whom the last is to be known. The functions here take these turns, and no service does any more.
INSERT INTO turns (name) VALUES ('settling'), ('admins');
DELETE FROM turns WHERE name = 'deletion';
REVOKE ALL ON turns FROM chatty_auth, chatty_operator;

CREATE TABLE unsettled_accounts (
  user_id  bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  -- The kind of row that it is at, and of which key; rows are gone through from the highest key down.
  stage    text NOT NULL DEFAULT 'posts',
  position bigint NOT NULL DEFAULT 9223372036854775807,
  -- Accounts take turns: one with many rows does not make the others wait for its end.
  turn_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE INDEX unsettled_accounts_turn_at ON unsettled_accounts (turn_at);

-- Has the flags of the next rows of one kind follow their user, so many at most, and the counters with them.
--
-- Rows that somebody else holds are not waited for, since those here are locked in another order than by whoever deletes a post: the
-- position stays before them, and the next step comes to them again.
--
-- looked_at: how many rows were looked at, 0 at the end of this kind. reached: the position to go on from.
CREATE FUNCTION settle_rows(account unsettled_accounts, is_hidden boolean, at_most bigint, OUT looked_at bigint, OUT reached bigint)
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  source CONSTANT text := CASE WHEN account.stage IN ('followers', 'following') THEN 'subscriptions' ELSE account.stage END;
  -- Whose rows: `following` are those that say whom the user follows, `followers` those that say who follows the user.
  owner  CONSTANT text := CASE account.stage WHEN 'following' THEN 'follower_id' WHEN 'followers' THEN 'following_id' ELSE 'user_id' END;
  key    CONSTANT text := CASE account.stage WHEN 'following' THEN 'following_id' WHEN 'followers' THEN 'follower_id' WHEN 'likes' THEN 'post_id'
    ELSE 'id' END;
  flag   CONSTANT text := CASE account.stage WHEN 'following' THEN 'follower_hidden' WHEN 'followers' THEN 'following_hidden' ELSE 'hidden' END;
  -- What a row counts for.
  counted CONSTANT text := CASE WHEN account.stage IN ('comments', 'likes') THEN 'post_id' ELSE key END;
  step   CONSTANT integer := CASE WHEN is_hidden THEN -1 ELSE 1 END;
  keys   bigint[];
  counts bigint[];
  is_left boolean;
BEGIN
  looked_at := 0;
  reached := account.position;
  -- Most accounts have nothing of most kinds, which is found out sooner without a plan for it.
  IF NOT (CASE account.stage
    WHEN 'posts' THEN EXISTS (SELECT FROM posts WHERE user_id = account.user_id)
    WHEN 'comments' THEN EXISTS (SELECT FROM comments WHERE user_id = account.user_id)
    WHEN 'likes' THEN EXISTS (SELECT FROM likes WHERE user_id = account.user_id)
    WHEN 'following' THEN EXISTS (SELECT FROM subscriptions WHERE follower_id = account.user_id)
    ELSE EXISTS (SELECT FROM subscriptions WHERE following_id = account.user_id)
  END) THEN
    RETURN;
  END IF;
  EXECUTE format('SELECT ARRAY(SELECT %2$I FROM %1$I WHERE %3$I = $1 AND %2$I < $2 ORDER BY %2$I DESC LIMIT $3)', source, key, owner)
    INTO keys USING account.user_id, account.position, at_most;
  looked_at := cardinality(keys);
  IF looked_at = 0 THEN
    RETURN;
  END IF;
  EXECUTE format(
    'WITH late AS (
       SELECT %2$I FROM %1$I WHERE %3$I = $1 AND %2$I = ANY ($2) AND %4$I <> $3 ORDER BY %2$I FOR NO KEY UPDATE SKIP LOCKED
     ), changed AS (
       UPDATE %1$I r SET %4$I = $3 FROM late WHERE r.%3$I = $1 AND r.%2$I = late.%2$I RETURNING r.%5$I
     )
     SELECT array_agg(%5$I) FROM changed', source, key, owner, flag, counted)
    INTO counts USING account.user_id, keys, is_hidden;
  IF counts IS NOT NULL AND account.stage IN ('comments', 'likes') THEN
    PERFORM FROM post_stats WHERE post_id = ANY (counts) ORDER BY post_id FOR NO KEY UPDATE;
    UPDATE post_stats s SET
        likes = s.likes + CASE account.stage WHEN 'likes' THEN n.rows ELSE 0 END,
        comments = s.comments + CASE account.stage WHEN 'comments' THEN n.rows ELSE 0 END
      FROM (SELECT post_id, step * count(*) AS rows FROM unnest(counts) post_id GROUP BY post_id) n
      WHERE s.post_id = n.post_id;
  ELSIF counts IS NOT NULL AND account.stage IN ('following', 'followers') THEN
    PERFORM FROM author_stats WHERE user_id = ANY (counts) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE author_stats a SET
        followers = a.followers + CASE account.stage WHEN 'following' THEN step ELSE 0 END,
        following = a.following + CASE account.stage WHEN 'followers' THEN step ELSE 0 END
      WHERE a.user_id = ANY (counts);
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT FROM %1$I WHERE %3$I = $1 AND %2$I = ANY ($2) AND %4$I <> $3)', source, key, owner, flag)
    INTO is_left USING account.user_id, keys, is_hidden;
  IF NOT is_left THEN
    reached := keys[looked_at];
  END IF;
END $$;

-- Removes rows of a table that belong to some rows of another, so many at most. Returns how many; -1 if there are only rows that somebody
-- else holds, for which a later step comes.
CREATE FUNCTION remove_rows_of(owners bigint[], source regclass, owner name, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  removed bigint;
  is_held boolean;
BEGIN
  EXECUTE format(
    'DELETE FROM %1$s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %1$s WHERE %2$I = ANY ($1) LIMIT $2 FOR UPDATE SKIP LOCKED))', source, owner)
    USING owners, at_most;
  GET DIAGNOSTICS removed = ROW_COUNT;
  IF removed = 0 THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %1$s WHERE %2$I = ANY ($1))', source, owner) INTO is_held USING owners;
  END IF;
  RETURN CASE WHEN is_held THEN -1 ELSE removed END;
END $$;

-- Removes rows that belong to some rows of `target` and would go with them, of whichever table: cascades would take all of them in one
-- statement. Returns how many; 0 if there are none left, -1 if the last are held by somebody else.
CREATE FUNCTION remove_dependents(owners bigint[], target regclass, besides regclass[], at_most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  link    record;
  removed bigint;
  is_held boolean := false;
BEGIN
  FOR link IN
    SELECT c.conrelid::regclass AS source, a.attname AS owner
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.contype = 'f' AND c.confrelid = target AND c.confdeltype = 'c' AND cardinality(c.conkey) = 1 AND c.conrelid <> ALL (besides)
    ORDER BY c.conrelid, a.attnum
  LOOP
    removed := remove_rows_of(owners, link.source, link.owner, at_most);
    IF removed > 0 THEN
      RETURN removed;
    END IF;
    is_held := is_held OR removed < 0;
  END LOOP;
  RETURN CASE WHEN is_held THEN -1 ELSE 0 END;
END $$;

-- Removes the next rows of a deleted account: what hangs on its user, then what hangs on its posts, then the posts. Returns as the above.
CREATE FUNCTION remove_rows(who bigint, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  posts_to_remove bigint[];
  removed bigint;
BEGIN
  removed := remove_dependents(ARRAY[who], 'users', ARRAY['posts', 'author_stats', 'unsettled_accounts']::regclass[], at_most);
  IF removed = 0 THEN
    removed := remove_rows_of(ARRAY[who], 'idempotency_keys', 'user_id', at_most);
  END IF;
  IF removed <> 0 THEN
    RETURN removed;
  END IF;
  -- A post costs several times what a row without dependents does.
  posts_to_remove := ARRAY(
    SELECT id FROM posts WHERE user_id = who ORDER BY id DESC LIMIT greatest(at_most / 4, 1) FOR UPDATE SKIP LOCKED
  );
  removed := remove_dependents(posts_to_remove, 'posts', ARRAY[]::regclass[], at_most);
  IF removed <> 0 THEN
    RETURN removed;
  END IF;
  DELETE FROM posts WHERE id = ANY (posts_to_remove);
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN CASE WHEN removed = 0 AND EXISTS (SELECT FROM posts WHERE user_id = who) THEN -1 ELSE 4 * removed END;
END $$;

-- Goes on with one account, for so many rows or a few more. Returns how many there were; what is left to do is in unsettled_accounts.
--
-- The account is locked first, as by whoever changes its state, which so stays what it is for the step; then the turn is taken, and after
-- that only counters are waited for.
--
-- is_new: the account's state has changed, and whatever was done before is gone through again.
CREATE FUNCTION settle_account(who bigint, is_new boolean, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  stages CONSTANT text[] := ARRAY['posts', 'comments', 'likes', 'following', 'followers'];
  start  CONSTANT bigint := 9223372036854775807;
  state   record;
  account unsettled_accounts := ROW (who, stages[1], start, now());
  done    bigint;
  total   bigint := 0;
BEGIN
  SELECT blocked_at IS NOT NULL AS is_blocked, NOT is_active AS is_inactive, deleted_at IS NOT NULL AS is_deleted INTO state
    FROM users WHERE id = who FOR NO KEY UPDATE;
  PERFORM FROM turns WHERE name = 'settling' FOR UPDATE;
  IF NOT is_new THEN
    SELECT * INTO account FROM unsettled_accounts WHERE user_id = who;
    IF NOT FOUND THEN
      RETURN 0;
    END IF;
  END IF;
  WHILE total < at_most LOOP
    IF account.stage = 'removal' THEN
      done := remove_rows(who, at_most - total);
      EXIT WHEN done < 0;
    ELSE
      SELECT looked_at, reached INTO done, account.position FROM settle_rows(
        account, CASE WHEN account.stage IN ('followers', 'following') THEN state.is_inactive ELSE state.is_blocked END, at_most - total);
    END IF;
    IF done > 0 THEN
      total := total + done;
    ELSIF account.stage IN ('removal', 'followers') THEN
      IF account.stage = 'removal' THEN
        DELETE FROM author_stats WHERE user_id = who;
      END IF;
      DELETE FROM unsettled_accounts WHERE user_id = who;
      RETURN total;
    ELSE
      -- What is deleted is not counted first row by row: only its posts leave the lists before they go, which is quicker.
      account.stage := CASE WHEN state.is_deleted THEN 'removal' ELSE stages[array_position(stages, account.stage) + 1] END;
      account.position := start;
    END IF;
  END LOOP;
  -- Others come first now; rows that somebody holds need a moment.
  INSERT INTO unsettled_accounts VALUES (
      who, account.stage, account.position, clock_timestamp() + CASE WHEN done < 0 THEN interval '1 second' ELSE interval '0' END)
    ON CONFLICT (user_id) DO UPDATE SET stage = excluded.stage, position = excluded.position, turn_at = excluded.turn_at;
  RETURN total;
END $$;

-- Goes on with the accounts whose turn it is, for so many rows in all. Returns false if there is none.
CREATE FUNCTION settle_next_accounts(at_most bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  who  bigint;
  rest bigint := at_most;
BEGIN
  FOR who IN SELECT user_id FROM unsettled_accounts WHERE turn_at <= clock_timestamp() ORDER BY turn_at LIMIT greatest(at_most / 10, 1) LOOP
    EXIT WHEN rest <= 0;
    -- One that somebody else is at is theirs.
    PERFORM FROM users WHERE id = who FOR NO KEY UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    BEGIN
      -- An account by itself costs as much as some rows do.
      rest := rest - 10 - settle_account(who, false, rest);
    EXCEPTION WHEN OTHERS THEN
      -- The others go on; this one is tried again.
      RAISE WARNING 'account % is not settled: % (%)', who, SQLERRM, SQLSTATE;
      UPDATE unsettled_accounts SET turn_at = clock_timestamp() + interval '10 seconds' WHERE user_id = who;
      rest := rest - 10;
    END;
  END LOOP;
  RETURN rest < at_most;
END $$;

-- The first step is part of the change: for most accounts it is all there is to do. Of many that change in one transaction most are left to
-- the worker.
CREATE FUNCTION user_state_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  before CONSTANT integer := coalesce(nullif(current_setting('chatty.accounts_settled', true), ''), '0');
BEGIN
  -- Newcomers have nothing to settle.
  IF NEW.deleted_at IS NULL AND NOT EXISTS (SELECT FROM posts WHERE user_id = NEW.id)
    AND NOT EXISTS (SELECT FROM comments WHERE user_id = NEW.id) AND NOT EXISTS (SELECT FROM likes WHERE user_id = NEW.id)
    AND NOT EXISTS (SELECT FROM subscriptions WHERE follower_id = NEW.id)
    AND NOT EXISTS (SELECT FROM subscriptions WHERE following_id = NEW.id)
  THEN
    RETURN NULL;
  END IF;
  IF before < 100 THEN
    PERFORM set_config('chatty.accounts_settled', (before + 1)::text, true);
    PERFORM settle_account(NEW.id, true, 500);
  ELSE
    INSERT INTO unsettled_accounts (user_id) VALUES (NEW.id)
      ON CONFLICT (user_id) DO UPDATE SET stage = DEFAULT, position = DEFAULT, turn_at = now();
  END IF;
  IF EXISTS (SELECT FROM unsettled_accounts WHERE user_id = NEW.id) THEN
    PERFORM pg_notify('outbox', 'account');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER settle AFTER UPDATE OF verified_at, blocked_at, deleted_at ON users FOR EACH ROW
  WHEN ((OLD.blocked_at IS NULL) <> (NEW.blocked_at IS NULL) OR OLD.is_active <> NEW.is_active
    OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
  EXECUTE FUNCTION user_state_changed();

-- What was hidden before there were flags.
INSERT INTO unsettled_accounts (user_id)
  SELECT id FROM users u WHERE blocked_at IS NOT NULL
    OR NOT is_active AND (EXISTS (SELECT FROM subscriptions f WHERE f.following_id = u.id)
      OR EXISTS (SELECT FROM subscriptions f WHERE f.follower_id = u.id));

-- Deletion -------------------------------------------------------------------------------------------------------------

-- Deletes an account: at once it is nobody's, its sessions and links are dead, and all that was written is hidden; the rows go in steps.
--
-- proof: the hash that the password was found to be right by, unless an operator deletes; no other account is deleted then than one that
-- still has it, nor the last admin.
--
-- Returns `deleted`, `missing` or `last_admin`.
CREATE FUNCTION delete_account(who bigint, proof text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  account record;
BEGIN
  -- Of two admins who go at the same moment the second sees that the first has gone.
  IF proof IS NOT NULL AND EXISTS (SELECT FROM users WHERE id = who AND role = 'admin') THEN
    PERFORM FROM turns WHERE name = 'admins' FOR UPDATE;
  END IF;
  SELECT role INTO account FROM users WHERE id = who AND deleted_at IS NULL AND hashed_password = coalesce(proof, hashed_password) FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 'missing';
  END IF;
  IF proof IS NOT NULL AND account.role = 'admin' AND NOT EXISTS (SELECT FROM users WHERE role = 'admin' AND is_active AND id <> who) THEN
    RETURN 'last_admin';
  END IF;
  DELETE FROM email_tokens WHERE user_id = who;
  -- An address without a dot in its domain is nobody's: none can be registered.
  UPDATE users SET deleted_at = now(), blocked_at = coalesce(blocked_at, now()), role = 'user',
      email = 'deleted-' || id || '@invalid', hashed_password = '!'
    WHERE id = who;
  RETURN 'deleted';
END $$;

-- Gives free the names of accounts that have been deleted for so long, so many at most; how many there were.
CREATE FUNCTION remove_deleted_accounts(age interval, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  removed bigint;
BEGIN
  DELETE FROM users WHERE id IN (
    SELECT id FROM users u WHERE deleted_at < now() - age AND NOT EXISTS (SELECT FROM unsettled_accounts a WHERE a.user_id = u.id)
    ORDER BY deleted_at LIMIT at_most FOR UPDATE SKIP LOCKED
  );
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;

-- Grants ---------------------------------------------------------------------------------------------------------------

GRANT EXECUTE ON FUNCTION settle_next_accounts, remove_deleted_accounts TO chatty_worker;
-- Nothing else deletes an account. (chatty_auth also removes claims, registrations of an address that somebody else has confirmed: their
-- users have never been logged in, so there is nothing of theirs.)
REVOKE DELETE ON users FROM chatty_operator;
GRANT EXECUTE ON FUNCTION delete_account TO chatty_auth, chatty_operator;
GRANT SELECT (deleted_at) ON users TO chatty_admin, chatty_operator;
