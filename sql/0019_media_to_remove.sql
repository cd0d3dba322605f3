-- The images whose files chatty-worker is about to remove, for whoever compares files with rows (`chatty media check`): an operator sees
-- them without seeing what is in a mail. What the worker has given up is not among them: nobody is about to remove it.
CREATE VIEW media_to_remove AS
  SELECT payload->>'image_key' AS image_key FROM outbox WHERE kind = 'media' AND dead_at IS NULL;

GRANT SELECT ON media_to_remove TO chatty_operator;
