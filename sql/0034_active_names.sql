-- The names that a search can find, in an index that no other can take the place of: that of all names has the same expression, and the
-- planner took it where its rows lie in better order, to read every name that may not be shown. These operators, which compare bytes as
-- COLLATE "C" does, are this index's alone (PostgreSQL 15, chapter 11.10).

CREATE INDEX users_findable ON users (lower(username COLLATE "C") text_pattern_ops) WHERE is_active;
DROP INDEX users_active_names;
