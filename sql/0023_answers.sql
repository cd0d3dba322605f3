-- Stored answers are the service's that gave them: another neither reads nor changes them.

-- With a constant as its default the column costs no rewrite. The few answers of the feed service are of the last day.
ALTER TABLE idempotency_keys ADD COLUMN service text NOT NULL DEFAULT 'chatty_posts';
UPDATE idempotency_keys SET service = 'chatty_feed' WHERE answer LIKE '{"message":"Subscribed to user %'::bytea;
ALTER TABLE idempotency_keys ALTER COLUMN service SET DEFAULT current_user;

-- The key stays one of a user's, whichever service it was sent to: a second use of it is another request, which the second service is told
-- by the error of a row that it may not see.
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON idempotency_keys USING (service = current_user) WITH CHECK (service = current_user);
-- The sweep of what is older than a day.
CREATE POLICY sweep ON idempotency_keys TO chatty_worker USING (true);
