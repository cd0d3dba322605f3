-- Alternative text: what an image shows, in words, for those who do not see it.

ALTER TABLE posts ADD COLUMN image_alt text;
-- Not validated: every row of before has NULL, and to look at them all would keep everybody else from the table meanwhile.
ALTER TABLE posts
  ADD CONSTRAINT posts_image_alt_length CHECK (char_length(image_alt) BETWEEN 1 AND 1500) NOT VALID,
  ADD CONSTRAINT posts_image_alt_image CHECK (image_alt IS NULL OR image_key IS NOT NULL) NOT VALID;

GRANT INSERT (image_alt), UPDATE (image_alt) ON posts TO chatty_posts;
