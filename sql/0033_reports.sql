-- A second report of the same user on the same post adds its reason to the first, as long as that is open.

-- Each reason has 4,000 characters at most (Sources/PostService/Handlers.swift); what would be more than this together is cut.
ALTER TABLE reports DROP CONSTRAINT reports_reason_check, ADD CONSTRAINT reports_reason_check CHECK (char_length(reason) BETWEEN 1 AND 20000);
GRANT SELECT (reason), UPDATE (reason) ON reports TO chatty_posts;

-- By which a post's reports go with it.
CREATE INDEX reports_post_id ON reports (post_id);
