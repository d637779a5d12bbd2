-- Attempts at a secret that failed, or are under way: what of, how many, and when the last one was. Installation-wide:
-- an attempt belongs to nobody yet.
CREATE TABLE sign_in_attempts (
    subject TEXT NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_attempts_age ON sign_in_attempts (last_at);
