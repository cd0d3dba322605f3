-- Whose a row of the outbox is. The number of attempts does not tell, since an operator may have them counted anew.

CREATE SEQUENCE outbox_claims;
-- The number of the claim that is on the row until next_attempt_at; NULL between two attempts. No number comes twice.
ALTER TABLE outbox ADD COLUMN claim bigint;

GRANT USAGE ON SEQUENCE outbox_claims TO chatty_worker;
GRANT UPDATE (claim) ON outbox TO chatty_worker;
GRANT SELECT (claim) ON outbox TO chatty_operator;
