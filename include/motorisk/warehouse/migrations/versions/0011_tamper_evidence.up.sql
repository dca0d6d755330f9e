-- Each event holds a digest over the digest before it and its own content: docs/security.md says how it is computed.
ALTER TABLE motorisk.model_event ADD COLUMN position bigint, ADD COLUMN digest text;

CREATE FUNCTION motorisk.chain_event() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last record;
BEGIN
    -- One at a time until the transaction ends: the registry's own lock.
    PERFORM pg_advisory_xact_lock(hashtext('motorisk.registry'));
    SELECT position, digest INTO last FROM motorisk.model_event ORDER BY position DESC NULLS LAST LIMIT 1;
    NEW.position := coalesce(last.position, 0) + 1;
    NEW.digest := encode(sha256(convert_to(
        coalesce(last.digest, repeat('0', 64)) || jsonb_build_array(
            NEW.position, NEW.version, NEW.event, NEW.actor, NEW.comment, NEW.details,
            extract(epoch FROM NEW.happened_at)
        )::text, 'UTF8'
    )), 'hex');
    RETURN NEW;
END
$$;

ALTER TABLE motorisk.model_event DISABLE TRIGGER append_only;
DO $$
DECLARE
    found record;
    number bigint := 0;
    last text := repeat('0', 64);
BEGIN
    FOR found IN SELECT * FROM motorisk.model_event ORDER BY model_event_id LOOP
        number := number + 1;
        last := encode(sha256(convert_to(
            last || jsonb_build_array(
                number, found.version, found.event, found.actor, found.comment, found.details,
                extract(epoch FROM found.happened_at)
            )::text, 'UTF8'
        )), 'hex');
        UPDATE motorisk.model_event SET position = number, digest = last WHERE model_event_id = found.model_event_id;
    END LOOP;
END
$$;
ALTER TABLE motorisk.model_event ENABLE TRIGGER append_only;
ALTER TABLE motorisk.model_event
    ALTER position SET NOT NULL,
    ALTER digest SET NOT NULL,
    ADD CONSTRAINT model_event_position UNIQUE (position),
    ADD CHECK (digest ~ '^[0-9a-f]{64}$');
CREATE TRIGGER chained BEFORE INSERT ON motorisk.model_event
    FOR EACH ROW EXECUTE FUNCTION motorisk.chain_event();

-- A plan of more bytes is refused wherever it is loaded; it need not get in.
ALTER TABLE motorisk.model_version ADD CONSTRAINT plan_size CHECK (octet_length(plan) <= 4194304) NOT VALID;

-- Quotes of one hour (UTC) that were in no seal before: written behind the quotes, whenever somebody seals.
CREATE TABLE motorisk.quote_seal (
    seal_id bigint PRIMARY KEY CHECK (seal_id > 0),
    hour timestamptz NOT NULL,
    rows integer NOT NULL CHECK (rows > 0),
    -- of these, made well before the seals before: carried over from a journal, or put in by somebody
    late integer NOT NULL CHECK (late BETWEEN 0 AND rows),
    -- 16 bytes a quote, by time and id: its id, the beginning of its digest, and what its reference's digest is salted
    -- with (null: none has a reference). A salt goes when the reference is erased, so that nobody can guess it.
    quote_ids bytea NOT NULL CHECK (octet_length(quote_ids) = 16 * rows),
    row_digests bytea NOT NULL CHECK (octet_length(row_digests) = 16 * rows),
    salts bytea CHECK (octet_length(salts) = 16 * rows),
    -- how far the audit trail went
    events bigint NOT NULL,
    event_digest text NOT NULL,
    sealed_at timestamptz NOT NULL,
    -- over all of the above but the salts, and the digest of the seal before
    digest text NOT NULL UNIQUE CHECK (digest ~ '^[0-9a-f]{64}$')
);
CREATE INDEX quote_seal_hour ON motorisk.quote_seal (hour);

-- Who had a customer erased, when and how much: not whom. `subject` is the customer's pseudonym, for those who hold the
-- key of pseudonyms; null where there was none.
CREATE TABLE motorisk.erasure (
    erasure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    erased_by text NOT NULL CHECK (erased_by <> ''),
    erased_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    comment text,
    subject text,
    erased jsonb NOT NULL
);

-- Quotes whose reference is gone, and the salted digest that their seals hold in its place.
CREATE TABLE motorisk.erased_reference (
    quoted_at timestamptz NOT NULL,
    quote_id uuid NOT NULL,
    erasure_id bigint NOT NULL REFERENCES motorisk.erasure,
    commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
    PRIMARY KEY (quoted_at, quote_id)
);

-- The ledger accepts one change: a reference goes, and its digest is kept.
CREATE FUNCTION motorisk.refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.reference IS NULL AND to_jsonb(NEW) - 'reference' = to_jsonb(OLD) - 'reference'
        AND EXISTS (
            SELECT FROM motorisk.erased_reference WHERE quoted_at = OLD.quoted_at AND quote_id = OLD.quote_id
        )
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
DROP TRIGGER append_only ON motorisk.quote;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON motorisk.quote
    FOR EACH ROW EXECUTE FUNCTION motorisk.refuse_ledger_change();

-- A seal accepts one change: salts go.
CREATE FUNCTION motorisk.refuse_seal_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'salts' = to_jsonb(OLD) - 'salts'
        AND OLD.salts IS NOT NULL AND NEW.salts IS NOT NULL AND NOT EXISTS (
            SELECT FROM generate_series(0, OLD.rows - 1) AS place
            WHERE substr(NEW.salts, 16 * place + 1, 16) NOT IN (
                substr(OLD.salts, 16 * place + 1, 16), decode(repeat('00', 16), 'hex')
            )
        )
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON motorisk.quote_seal
    FOR EACH ROW EXECUTE FUNCTION motorisk.refuse_seal_change();
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON motorisk.quote_seal
    FOR EACH STATEMENT EXECUTE FUNCTION motorisk.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON motorisk.erasure
    FOR EACH ROW EXECUTE FUNCTION motorisk.refuse_change();
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON motorisk.erasure
    FOR EACH STATEMENT EXECUTE FUNCTION motorisk.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON motorisk.erased_reference
    FOR EACH ROW EXECUTE FUNCTION motorisk.refuse_change();
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON motorisk.erased_reference
    FOR EACH STATEMENT EXECUTE FUNCTION motorisk.refuse_change();

-- The nightly task seals and verifies. Erasing is for the owner alone. Analysts see no salts: with them they could try
-- out which reference a quote had.
GRANT SELECT, INSERT ON motorisk.quote_seal TO motorisk_pipeline;
GRANT SELECT ON motorisk.erased_reference, motorisk.erasure TO motorisk_pipeline;
GRANT SELECT ON motorisk.erasure TO motorisk_reading;
GRANT SELECT (seal_id, hour, rows, late, quote_ids, row_digests, events, event_digest, sealed_at, digest)
    ON motorisk.quote_seal TO motorisk_reading;
