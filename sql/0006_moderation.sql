-- Moderation is an insert: a row of moderation_actions is the action, its record and its effect in one. What no row was written for
-- has not happened, so the audit log cannot miss anything. The log itself is only ever added to.

CREATE TABLE reports (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  post_id     bigint NOT NULL REFERENCES posts ON DELETE CASCADE,
  user_id     bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  reason      text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  resolved_at timestamptz,
  resolved_by bigint REFERENCES users ON DELETE SET NULL,
  note        text
);
CREATE UNIQUE INDEX reports_open ON reports (post_id, user_id) WHERE resolved_at IS NULL;
CREATE INDEX reports_user_id ON reports (user_id);

-- No foreign keys: the record outlives whom it is about.
CREATE TABLE moderation_actions (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at  timestamptz NOT NULL DEFAULT now(),
  -- NULL: the operator, at the command line of the machine.
  actor_id    bigint,
  action      text NOT NULL
    CHECK (action IN ('block_user', 'unblock_user', 'set_role', 'delete_post', 'delete_comment', 'view_stats')),
  target_id   bigint,
  -- The role to set.
  role        text CHECK (role IN ('user', 'moderator', 'admin')),
  reason      text CHECK (char_length(reason) <= 4000),

  -- Filled in by the trigger; what the insert says of them does not count.
  actor       text NOT NULL,
  target_type text CHECK (target_type IN ('user', 'post', 'comment')),
  -- The user concerned, by the name they had: the target or its author. Nothing of a deleted text is kept.
  target      text,
  outcome     text NOT NULL CHECK (outcome IN ('applied', 'missing', 'forbidden')),

  CHECK ((target_id IS NULL) = (action = 'view_stats')),
  CHECK ((role IS NULL) = (action <> 'set_role'))
);
CREATE INDEX moderation_actions_target ON moderation_actions (target_type, target_id, id);

-- The ranks of roles: moderators rule content, admins everything, and nobody rules their equals.
CREATE FUNCTION role_rank(role text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE role WHEN 'admin' THEN 2 WHEN 'moderator' THEN 1 ELSE 0 END
$$;

-- Does what the row says and notes what came of it: `applied`, also when there was nothing left to change; `missing` without the target;
-- `forbidden` for an actor who may not, in general or to this target.
--
-- It runs as the schema's owner: the admin service inserts here and can change nothing else.
CREATE FUNCTION apply_moderation_action() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  actor  record;
  target record;
  needed integer;
BEGIN
  IF NEW.actor_id IS NOT NULL THEN
    SELECT username, role_rank(role) AS rank INTO actor FROM users WHERE id = NEW.actor_id AND is_active;
    IF NOT FOUND THEN
      RAISE 'the actor % of a moderation action is no active user', NEW.actor_id USING ERRCODE = 'foreign_key_violation';
    END IF;
  ELSIF pg_has_role(session_user, 'chatty_operator', 'MEMBER') THEN
    -- Above every role, and by a name that no user can have.
    SELECT '(operator)' AS username, role_rank('admin') + 1 AS rank INTO actor;
  ELSE
    RAISE 'a moderation action without an actor is the operator''s' USING ERRCODE = 'insufficient_privilege';
  END IF;
  NEW.created_at := now();
  NEW.actor := actor.username;
  NEW.target := NULL;
  NEW.target_type := CASE
    WHEN NEW.action IN ('block_user', 'unblock_user', 'set_role') THEN 'user'
    WHEN NEW.action = 'delete_post' THEN 'post'
    WHEN NEW.action = 'delete_comment' THEN 'comment'
  END;
  NEW.outcome := 'applied';

  needed := role_rank(CASE WHEN NEW.target_type IN ('post', 'comment') THEN 'moderator' ELSE 'admin' END);
  IF actor.rank < needed THEN
    NEW.outcome := 'forbidden';
    RETURN NEW;
  END IF;

  CASE NEW.target_type
    WHEN 'user' THEN
      -- Locked, so that the rank is still this one when the change is made.
      SELECT id, username, role_rank(role) AS rank INTO target FROM users WHERE id = NEW.target_id FOR NO KEY UPDATE;
    WHEN 'post' THEN
      SELECT p.id, u.username INTO target FROM posts p JOIN users u ON u.id = p.user_id WHERE p.id = NEW.target_id FOR UPDATE OF p;
    WHEN 'comment' THEN
      SELECT c.id, u.username INTO target FROM comments c JOIN users u ON u.id = c.user_id WHERE c.id = NEW.target_id FOR UPDATE OF c;
    ELSE
      RETURN NEW;
  END CASE;
  IF NOT FOUND THEN
    NEW.outcome := 'missing';
    RETURN NEW;
  END IF;
  NEW.target := target.username;
  IF NEW.target_type = 'user' THEN
    -- Oneself is one's equal.
    IF target.rank >= actor.rank THEN
      NEW.outcome := 'forbidden';
      RETURN NEW;
    END IF;
  END IF;

  CASE NEW.action
    WHEN 'block_user' THEN UPDATE users SET blocked_at = now() WHERE id = NEW.target_id AND blocked_at IS NULL;
    WHEN 'unblock_user' THEN UPDATE users SET blocked_at = NULL WHERE id = NEW.target_id AND blocked_at IS NOT NULL;
    WHEN 'set_role' THEN UPDATE users SET role = NEW.role WHERE id = NEW.target_id AND role <> NEW.role;
    WHEN 'delete_post' THEN DELETE FROM posts WHERE id = NEW.target_id;
    WHEN 'delete_comment' THEN DELETE FROM comments WHERE id = NEW.target_id;
  END CASE;
  RETURN NEW;
END $$;
CREATE TRIGGER apply BEFORE INSERT ON moderation_actions
  FOR EACH ROW EXECUTE FUNCTION apply_moderation_action();

-- For everybody, the owner too, short of taking the trigger away.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON moderation_actions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
