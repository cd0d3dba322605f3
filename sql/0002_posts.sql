-- What people write, and what they say to it.

CREATE TABLE posts (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id        bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  title          text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
  content        text NOT NULL CHECK (char_length(content) BETWEEN 1 AND 20000),
  -- The name that the author gave the image, and the random one under which it is served.
  image_filename text,
  image_key      text,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz,
  CHECK (image_filename IS NULL OR image_key IS NOT NULL)
);
-- An author's newest posts: their own page, and the ranges that a feed merges.
CREATE INDEX posts_user_id ON posts (user_id, id DESC);

CREATE TABLE comments (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  post_id    bigint NOT NULL REFERENCES posts ON DELETE CASCADE,
  user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  content    text NOT NULL CHECK (char_length(content) BETWEEN 1 AND 4000),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX comments_post_id ON comments (post_id, id);
CREATE INDEX comments_user_id ON comments (user_id);

CREATE TABLE likes (
  user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  post_id    bigint NOT NULL REFERENCES posts ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, post_id)
);
CREATE INDEX likes_post_id ON likes (post_id, user_id);
-- For what was liked in the last days. Likes are stored as they come, so ranges of pages will do, and cost a like almost nothing.
CREATE INDEX likes_created_at ON likes USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);
