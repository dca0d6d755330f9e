DROP TABLE motorisk.score_quarantine;
DROP TABLE motorisk.score_part;
DROP TABLE motorisk.score_plan;
ALTER TABLE motorisk.score_run
    DROP COLUMN run_id,
    DROP COLUMN quarantined,
    DROP COLUMN partitions;
