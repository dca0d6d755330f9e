-- Keys with which clients of the quote service say who they are. Only a key's SHA-256 is kept: a random key of 256 bits
-- cannot be guessed, so that a slow hash, which protects what people make up, would protect nothing here.
CREATE TABLE motorisk.api_key (
    -- the public part of the key, by which people and programs find it
    key_id text PRIMARY KEY CHECK (key_id ~ '^[0-9a-f]{12}$'),
    -- several keys of one client: the next one is handed out before the last one ends
    client text NOT NULL CHECK (client ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    digest text NOT NULL UNIQUE CHECK (digest ~ '^[0-9a-f]{64}$'),
    -- requests a second; null: as many as the service allows everybody; 0: no limit
    rate double precision CHECK (rate >= 0 AND rate < 'Infinity'),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- the last day (UTC) on which the key is good
    expires_on date,
    revoked_by text,
    revoked_at timestamptz,
    last_used_on date,
    CHECK ((revoked_by IS NULL) = (revoked_at IS NULL))
);
CREATE INDEX api_key_client ON motorisk.api_key (client);

-- Whose quote it is; null where nobody had to say.
ALTER TABLE motorisk.quote ADD COLUMN client text;
