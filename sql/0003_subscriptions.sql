-- Who follows whom.

CREATE TABLE subscriptions (
  follower_id  bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  following_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (follower_id, following_id),
  CHECK (follower_id <> following_id)
);
CREATE INDEX subscriptions_following_id ON subscriptions (following_id, follower_id);
