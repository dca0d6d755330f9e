-- The insurer's policy system, which the platform only reads.
CREATE SCHEMA insurance;

CREATE TABLE insurance.policy (
    policy_id text PRIMARY KEY CHECK (policy_id <> ''),
    customer_id text,
    effective_date date NOT NULL,
    expiry_date date NOT NULL,
    training boolean NOT NULL,
    age double precision NOT NULL CHECK (age BETWEEN 15 AND 120),
    emergency_braking boolean NOT NULL,
    -- NaN sorts above infinity in Postgres, so that "< infinity" refuses both.
    braking_distance double precision NOT NULL CHECK (braking_distance > 0 AND braking_distance < 'infinity'),
    power double precision NOT NULL CHECK (power > 0 AND power < 'infinity'),
    miles double precision NOT NULL CHECK (miles >= 0 AND miles < 'infinity'),
    CHECK (expiry_date > effective_date)
);
CREATE INDEX policy_effective_date ON insurance.policy (effective_date);

COMMENT ON COLUMN insurance.policy.age IS 'years';
COMMENT ON COLUMN insurance.policy.braking_distance IS 'metres from 100 km/h';
COMMENT ON COLUMN insurance.policy.power IS 'kW';
COMMENT ON COLUMN insurance.policy.miles IS 'thousand miles a year';

CREATE TABLE insurance.outcome (
    policy_id text PRIMARY KEY REFERENCES insurance.policy,
    risk double precision NOT NULL CHECK (risk > '-infinity' AND risk < 'infinity'),
    observed_on date NOT NULL
);
CREATE INDEX outcome_observed_on ON insurance.outcome (observed_on);

CREATE SCHEMA motorisk;

CREATE TABLE motorisk.model_version (
    version integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('candidate', 'validated', 'approved', 'retired', 'rejected')),
    candidate text NOT NULL,
    as_of date NOT NULL,
    digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    plan text NOT NULL,
    snapshot_digest text NOT NULL CHECK (snapshot_digest ~ '^[0-9a-f]{64}$'),
    rows integer NOT NULL CHECK (rows > 0),
    metrics jsonb NOT NULL,
    gates jsonb NOT NULL,
    backtest jsonb NOT NULL DEFAULT '[]',
    evaluation jsonb NOT NULL DEFAULT '{}',
    parameters jsonb NOT NULL,
    provenance jsonb NOT NULL,
    trained_by text NOT NULL,
    trained_at timestamptz NOT NULL DEFAULT now(),
    approved_by text,
    approved_at timestamptz,
    CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
    CHECK (state NOT IN ('approved', 'retired') OR approved_by IS NOT NULL)
);
CREATE UNIQUE INDEX one_champion ON motorisk.model_version (state) WHERE state = 'approved';
CREATE INDEX model_version_digest ON motorisk.model_version (digest);

CREATE TABLE motorisk.model_event (
    model_event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version integer NOT NULL REFERENCES motorisk.model_version,
    event text NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    comment text,
    details jsonb NOT NULL DEFAULT '{}',
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX model_event_version ON motorisk.model_event (version);

CREATE TABLE motorisk.tariff (
    name text PRIMARY KEY,
    valid_from date NOT NULL UNIQUE,
    base_premium numeric(12, 2) NOT NULL CHECK (base_premium BETWEEN 0 AND 50000),
    factor_low numeric(6, 3) NOT NULL CHECK (factor_low BETWEEN 0 AND 10),
    factor_medium numeric(6, 3) NOT NULL CHECK (factor_medium BETWEEN 0 AND 10),
    factor_high numeric(6, 3) NOT NULL CHECK (factor_high BETWEEN 0 AND 10),
    tax_rate numeric(5, 4) NOT NULL CHECK (tax_rate BETWEEN 0 AND 1),
    currency text NOT NULL DEFAULT 'EUR'
);
INSERT INTO motorisk.tariff (name, valid_from, base_premium, factor_low, factor_medium, factor_high, tax_rate)
VALUES ('standard', '2000-01-01', 600.00, 0.700, 1.000, 1.600, 0.1900);

CREATE TABLE motorisk.score (
    as_of date NOT NULL,
    policy_id text NOT NULL,
    version integer NOT NULL,
    tariff text NOT NULL,
    predictor text NOT NULL CHECK (predictor IN ('model', 'rules')),
    risk_class text NOT NULL CHECK (risk_class IN ('low', 'medium', 'high')),
    expected_risk double precision CHECK ((expected_risk IS NULL) = (predictor = 'rules')),
    -- hundred-millionths
    p_low integer NOT NULL,
    p_medium integer NOT NULL,
    p_high integer NOT NULL CHECK (p_low + p_medium + p_high = 100000000),
    net numeric(12, 2) NOT NULL CHECK (net >= 0),
    insurance_tax numeric(12, 2) NOT NULL CHECK (insurance_tax >= 0),
    gross numeric(12, 2) NOT NULL CHECK (gross = net + insurance_tax),
    PRIMARY KEY (as_of, policy_id)
) PARTITION BY LIST (as_of);

CREATE TABLE motorisk.score_run (
    as_of date PRIMARY KEY,
    run_id bigint NOT NULL,
    version integer NOT NULL REFERENCES motorisk.model_version,
    tariff text NOT NULL REFERENCES motorisk.tariff,
    rows integer NOT NULL,
    -- in force, but with features that nobody can price: see score_quarantine
    quarantined integer NOT NULL CHECK (quarantined >= 0),
    by_predictor jsonb NOT NULL,
    by_class jsonb NOT NULL,
    net_total numeric(16, 2) NOT NULL,
    partitions integer NOT NULL CHECK (partitions > 0),
    seconds double precision NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);

-- A date's scoring that is under way: what it works with is fixed by its plan, so that it can be taken up again.
-- Its scores wait in a table of their own (score_YYYYMMDD_RUN), which becomes the date's partition when it is complete.
CREATE TABLE motorisk.score_plan (
    as_of date PRIMARY KEY,
    run_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    version integer NOT NULL REFERENCES motorisk.model_version,
    tariff text NOT NULL REFERENCES motorisk.tariff,
    -- the tariff's figures when the plan was made: a run never mixes two
    prices text NOT NULL,
    planned_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Policies from `low` on and below `high`; no bound means from the first or to the last. The figures are written in the
-- transaction that writes the scores: a partition is done or has left nothing.
CREATE TABLE motorisk.score_part (
    run_id bigint NOT NULL REFERENCES motorisk.score_plan (run_id) ON DELETE CASCADE,
    part integer NOT NULL CHECK (part > 0),
    low text,
    high text,
    -- as the sample of the plan says
    estimated_rows integer NOT NULL,
    rows integer,
    quarantined integer,
    by_predictor jsonb,
    by_class jsonb,
    -- what publishing compares with the table: sums of cents and of probabilities
    net_cents bigint,
    gross_cents bigint,
    p_low bigint,
    p_high bigint,
    seconds double precision,
    finished_at timestamptz,
    PRIMARY KEY (run_id, part)
);

-- Policies in force that were not scored, and why.
CREATE TABLE motorisk.score_quarantine (
    as_of date NOT NULL,
    run_id bigint NOT NULL,
    policy_id text NOT NULL,
    reasons text[] NOT NULL,
    PRIMARY KEY (as_of, run_id, policy_id)
);

CREATE TABLE motorisk.quote (
    quoted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    quote_id uuid NOT NULL,
    -- `mock` rows are inputs recorded for drift monitoring alone: they have no price.
    channel text NOT NULL CHECK (channel IN ('quote', 'predict', 'mock')),
    reference text,
    effective_date date NOT NULL,
    training boolean NOT NULL,
    age double precision NOT NULL,
    emergency_braking boolean NOT NULL,
    braking_distance double precision NOT NULL,
    power double precision NOT NULL,
    miles double precision NOT NULL,
    version integer,
    digest text,
    tariff text,
    predictor text CHECK (predictor IN ('model', 'rules')),
    risk_class text CHECK (risk_class IN ('low', 'medium', 'high')),
    expected_risk double precision,
    p_low integer,
    p_medium integer,
    p_high integer,
    net numeric(12, 2),
    insurance_tax numeric(12, 2),
    gross numeric(12, 2),
    PRIMARY KEY (quoted_at, quote_id),
    CHECK (channel = 'mock' OR (
        version IS NOT NULL AND digest IS NOT NULL AND tariff IS NOT NULL AND predictor IS NOT NULL
        AND risk_class IS NOT NULL AND (expected_risk IS NULL) = (predictor = 'rules')
        AND p_low + p_medium + p_high = 100000000 AND gross = net + insurance_tax
    ))
) PARTITION BY RANGE (quoted_at);
CREATE INDEX quote_quote_id ON motorisk.quote (quote_id);

-- Keeps a quote storable even if nobody made its month's partition in time.
CREATE TABLE motorisk.quote_default PARTITION OF motorisk.quote DEFAULT;

-- Makes the partition of the day's month (UTC) and of the next; anybody may call it at any time.
CREATE FUNCTION motorisk.ensure_quote_partitions(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month date;
    partition text;
BEGIN
    FOR month IN SELECT generate_series(date_trunc('month', day), date_trunc('month', day) + interval '1 month',
                                        interval '1 month')::date
    LOOP
        partition := format('quote_%s', to_char(month, 'YYYY_MM'));
        CONTINUE WHEN to_regclass('motorisk.' || partition) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(hashtext('motorisk.ensure_quote_partitions'));
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS motorisk.%I PARTITION OF motorisk.quote FOR VALUES FROM (%L) TO (%L)',
            partition, month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
        );
    END LOOP;
END
$$;
SELECT motorisk.ensure_quote_partitions(current_date);

CREATE TABLE motorisk.drift_run (
    as_of date PRIMARY KEY,
    version integer NOT NULL REFERENCES motorisk.model_version,
    month date NOT NULL,
    rows integer NOT NULL,
    reference_rows integer NOT NULL,
    dataset_drift boolean NOT NULL,
    drifted_share double precision NOT NULL,
    report text NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE motorisk.drift_metric (
    as_of date NOT NULL REFERENCES motorisk.drift_run ON DELETE CASCADE,
    feature text NOT NULL,
    score double precision NOT NULL,
    method text NOT NULL,
    threshold double precision NOT NULL,
    drifted boolean NOT NULL,
    PRIMARY KEY (as_of, feature)
);

CREATE TABLE motorisk.performance (
    month date NOT NULL,
    version integer NOT NULL REFERENCES motorisk.model_version,
    as_of date NOT NULL,
    -- written in the month, their outcomes unknown when the version was trained
    policies integer NOT NULL CHECK (policies > 0),
    -- the version's own certainty: still high where it is wrong, shown and never judged by
    estimated_accuracy double precision,
    -- of these, outcomes known on the as-of date; what follows is about them
    rows integer NOT NULL CHECK (rows BETWEEN 0 AND policies),
    accuracy double precision CHECK ((accuracy IS NULL) = (rows = 0)),
    log_loss double precision CHECK ((log_loss IS NULL) = (rows = 0)),
    -- of these, answered by the version and not by the rules; what follows is about them
    by_model integer NOT NULL CHECK (by_model BETWEEN 0 AND rows),
    rmse double precision CHECK ((rmse IS NULL) = (by_model = 0)),
    bias double precision CHECK ((bias IS NULL) = (by_model = 0)),
    calibration_error double precision CHECK ((calibration_error IS NULL) = (by_model = 0)),
    actual jsonb CHECK ((actual IS NULL) = (by_model = 0)),
    expected jsonb CHECK ((expected IS NULL) = (by_model = 0)),
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (month, version)
);

COMMENT ON COLUMN motorisk.performance.bias IS 'observed less expected risk index, in standard errors';
COMMENT ON COLUMN motorisk.performance.actual IS 'policies by class';
COMMENT ON COLUMN motorisk.performance.expected IS 'sum of stated probabilities by class';

-- What speaks against a served version, and when a training was asked for because of it: once by version and cause.
CREATE TABLE motorisk.alarm (
    version integer NOT NULL REFERENCES motorisk.model_version,
    cause text NOT NULL CHECK (cause <> ''),
    -- the night that raised it first, the day from which on it holds, and the newest night that saw it
    as_of date NOT NULL,
    since date NOT NULL,
    last_seen date NOT NULL CHECK (last_seen >= as_of),
    reason text NOT NULL,
    e_value double precision,
    threshold double precision,
    raised_at timestamptz NOT NULL DEFAULT now(),
    asked_at timestamptz,
    PRIMARY KEY (version, cause)
);

CREATE TABLE motorisk.quarantined_row (
    source_digest text NOT NULL,
    line integer NOT NULL,
    source text NOT NULL,
    reasons text[] NOT NULL,
    content text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_digest, line)
);

-- The audit trail and the ledger only grow.
CREATE FUNCTION motorisk.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON motorisk.model_event
    FOR EACH ROW EXECUTE FUNCTION motorisk.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON motorisk.quote
    FOR EACH ROW EXECUTE FUNCTION motorisk.refuse_change();
