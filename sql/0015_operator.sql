-- What an operator does to an account has the same effects as when its owner does it.

-- A new password makes the links under way worthless that could take the account. Neither the links nor what they are for can be read.
GRANT SELECT (user_id, purpose, used_at), DELETE ON email_tokens TO chatty_operator;
