-- Runs measured before this migration looked at one month alone; what they did not measure stays unknown.
ALTER TABLE motorisk.drift_run ADD COLUMN windows integer NOT NULL DEFAULT 1 CHECK (windows > 0);
ALTER TABLE motorisk.drift_metric
    ADD COLUMN rows integer,
    ADD COLUMN missing integer,
    ADD COLUMN more_missing boolean,
    ADD COLUMN outliers integer,
    ADD COLUMN evidence double precision,
    ADD COLUMN evidence_threshold double precision,
    ADD COLUMN since date,
    ADD COLUMN since_earliest date,
    ADD COLUMN since_latest date,
    ADD COLUMN per_month double precision,
    ADD COLUMN passes date,
    ADD COLUMN passes_earliest date,
    ADD COLUMN passes_latest date,
    ADD COLUMN says text;

COMMENT ON COLUMN motorisk.drift_metric.rows IS 'rows with a value';
COMMENT ON COLUMN motorisk.drift_metric.evidence IS 'e-value of all windows since the reference; null: fixed thresholds';
COMMENT ON COLUMN motorisk.drift_metric.per_month IS 'movement of the mean, in the unit of the feature';
COMMENT ON COLUMN motorisk.drift_metric.passes IS 'when the score passes its threshold at this rate';

-- What scores of so many rows reach by chance, from a version's own reference: computed once.
CREATE TABLE motorisk.drift_threshold (
    version integer NOT NULL REFERENCES motorisk.model_version,
    feature text NOT NULL,
    rows integer NOT NULL CHECK (rows > 0),
    -- windows of a standing-still world in which one false alarm is allowed
    budget integer NOT NULL CHECK (budget > 0),
    threshold double precision NOT NULL,
    PRIMARY KEY (version, feature, rows, budget)
);

-- Quotes that are in no window yet, in the order in which they arrived: one that comes late through the journal is
-- here like any other. Who measures a window takes its quotes out in the same transaction.
CREATE TABLE motorisk.drift_inbox (
    arrival bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    quote_id uuid NOT NULL,
    quoted_at timestamptz NOT NULL,
    arrived_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION motorisk.remember_for_drift() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO motorisk.drift_inbox (quote_id, quoted_at) SELECT quote_id, quoted_at FROM arrived;
    RETURN NULL;
END
$$;
CREATE TRIGGER remember_for_drift AFTER INSERT ON motorisk.quote
    REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION motorisk.remember_for_drift();

CREATE TABLE motorisk.drift_window (
    window_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- rows of a full window; fewer where a slow day's timeout closed it
    size integer NOT NULL CHECK (size > 0),
    version integer NOT NULL REFERENCES motorisk.model_version,
    first_quoted_at timestamptz NOT NULL,
    last_quoted_at timestamptz NOT NULL CHECK (last_quoted_at >= first_quoted_at),
    rows integer NOT NULL CHECK (rows > 0),
    dataset_drift boolean NOT NULL,
    drifted_share double precision NOT NULL,
    -- what later windows of the same version add up
    figures jsonb NOT NULL,
    -- each quote is in exactly one window
    quote_ids uuid[] NOT NULL CHECK (cardinality(quote_ids) = rows),
    measured_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX drift_window_version ON motorisk.drift_window (version, window_id);

CREATE TABLE motorisk.drift_window_metric (
    window_id bigint NOT NULL REFERENCES motorisk.drift_window ON DELETE CASCADE,
    feature text NOT NULL,
    score double precision NOT NULL,
    method text NOT NULL,
    threshold double precision NOT NULL,
    drifted boolean NOT NULL,
    rows integer NOT NULL,
    missing integer NOT NULL,
    more_missing boolean NOT NULL,
    outliers integer NOT NULL,
    evidence double precision,
    evidence_threshold double precision,
    since date,
    since_earliest date,
    since_latest date,
    per_month double precision,
    passes date,
    passes_earliest date,
    passes_latest date,
    says text NOT NULL,
    PRIMARY KEY (window_id, feature)
);
