DROP TABLE motorisk.drift_window_metric;
DROP TABLE motorisk.drift_window;
DROP TRIGGER remember_for_drift ON motorisk.quote;
DROP FUNCTION motorisk.remember_for_drift();
DROP TABLE motorisk.drift_inbox;
DROP TABLE motorisk.drift_threshold;
ALTER TABLE motorisk.drift_metric
    DROP COLUMN rows,
    DROP COLUMN missing,
    DROP COLUMN more_missing,
    DROP COLUMN outliers,
    DROP COLUMN evidence,
    DROP COLUMN evidence_threshold,
    DROP COLUMN since,
    DROP COLUMN since_earliest,
    DROP COLUMN since_latest,
    DROP COLUMN per_month,
    DROP COLUMN passes,
    DROP COLUMN passes_earliest,
    DROP COLUMN passes_latest,
    DROP COLUMN says;
ALTER TABLE motorisk.drift_run DROP COLUMN windows;
