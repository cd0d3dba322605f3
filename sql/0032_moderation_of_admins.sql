-- What an admin has written is not deleted by a moderator, and what belongs to a deleted account is no target of anything.

-- Does what the row says and notes what came of it: `applied`, also when there was nothing left to change; `missing` without the target;
-- `forbidden` for an actor who may not, in general or to this target.
--
-- It runs as the schema's owner: the admin service inserts here and can change nothing else.
CREATE OR REPLACE FUNCTION apply_moderation_action() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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
      SELECT id, username, role_rank(role) AS rank INTO target FROM users
        WHERE id = NEW.target_id AND deleted_at IS NULL FOR NO KEY UPDATE;
    WHEN 'post' THEN
      SELECT p.id, u.username, role_rank(u.role) AS rank INTO target FROM posts p JOIN users u ON u.id = p.user_id
        WHERE p.id = NEW.target_id AND u.deleted_at IS NULL FOR UPDATE OF p;
    WHEN 'comment' THEN
      SELECT c.id, u.username, role_rank(u.role) AS rank INTO target FROM comments c JOIN users u ON u.id = c.user_id
        WHERE c.id = NEW.target_id AND u.deleted_at IS NULL FOR UPDATE OF c;
    ELSE
      RETURN NEW;
  END CASE;
  IF NOT FOUND THEN
    NEW.outcome := 'missing';
    RETURN NEW;
  END IF;
  NEW.target := target.username;
  -- Of users oneself is one's equal. What somebody has written is ruled by their equals too, but not by those below: an admin's by admins.
  IF target.rank > actor.rank OR target.rank = actor.rank AND NEW.target_type = 'user' THEN
    NEW.outcome := 'forbidden';
    RETURN NEW;
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
