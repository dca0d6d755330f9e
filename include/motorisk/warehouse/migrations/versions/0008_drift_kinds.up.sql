-- What was measured before this migration were policies.
ALTER TABLE motorisk.drift_metric DROP CONSTRAINT drift_metric_as_of_fkey;
ALTER TABLE motorisk.drift_metric DROP CONSTRAINT drift_metric_pkey;
ALTER TABLE motorisk.drift_run DROP CONSTRAINT drift_run_pkey;

ALTER TABLE motorisk.drift_run
    ADD COLUMN kind text NOT NULL DEFAULT 'policies' CHECK (kind IN ('policies', 'quotes', 'scores')),
    ADD PRIMARY KEY (as_of, kind);
ALTER TABLE motorisk.drift_metric
    ADD COLUMN kind text NOT NULL DEFAULT 'policies',
    ADD PRIMARY KEY (as_of, kind, feature),
    ADD FOREIGN KEY (as_of, kind) REFERENCES motorisk.drift_run ON DELETE CASCADE;

COMMENT ON COLUMN motorisk.drift_run.kind IS 'policies: the newest month; quotes, scores: those of the day';
COMMENT ON COLUMN motorisk.drift_run.report IS 'the snapshot in the Evidently workspace';
