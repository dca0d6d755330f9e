-- Runs published before this migration had one part and no quarantine; they are told apart from later ones by run 0.
ALTER TABLE motorisk.score_run
    ADD COLUMN run_id bigint NOT NULL DEFAULT 0,
    ADD COLUMN quarantined integer NOT NULL DEFAULT 0 CHECK (quarantined >= 0),
    ADD COLUMN partitions integer NOT NULL DEFAULT 1 CHECK (partitions > 0);
ALTER TABLE motorisk.score_run
    ALTER COLUMN run_id DROP DEFAULT,
    ALTER COLUMN quarantined DROP DEFAULT,
    ALTER COLUMN partitions DROP DEFAULT;

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
