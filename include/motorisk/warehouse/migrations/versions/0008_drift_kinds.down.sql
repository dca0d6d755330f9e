DELETE FROM motorisk.drift_run WHERE kind <> 'policies';

ALTER TABLE motorisk.drift_metric DROP CONSTRAINT drift_metric_as_of_kind_fkey;
ALTER TABLE motorisk.drift_metric DROP CONSTRAINT drift_metric_pkey;
ALTER TABLE motorisk.drift_run DROP CONSTRAINT drift_run_pkey;

COMMENT ON COLUMN motorisk.drift_run.report IS NULL;
ALTER TABLE motorisk.drift_run DROP COLUMN kind, ADD PRIMARY KEY (as_of);
ALTER TABLE motorisk.drift_metric
    DROP COLUMN kind,
    ADD PRIMARY KEY (as_of, feature),
    ADD FOREIGN KEY (as_of) REFERENCES motorisk.drift_run ON DELETE CASCADE;
