-- A user's quota counts what images really take. What is reserved of it for an image that is being made is nothing until its files are
-- there, and then their length (Sources/PostService/Images.swift): before, it was what the largest image would take, so that the last
-- 40 MiB of a quota were of no use to anybody.

COMMENT ON COLUMN pending_media.reserved IS 'bytes of the files, 0 until they are made';
GRANT UPDATE (reserved) ON pending_media TO chatty_posts;
