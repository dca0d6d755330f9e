-- The training configurations that were in force, one row a change, and the training that each has led to.
CREATE TABLE motorisk.training_configuration (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- what the file states, and the SHA-256 of its canonical JSON: comments and layout change nothing
    digest text NOT NULL,
    content jsonb NOT NULL,
    -- commit of the DAG bundle in which it was seen first; null: a local folder
    bundle_version text,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- null: there is a training to ask for, unless one has begun
    asked_at timestamptz,
    -- the run of the first training with it
    training_run text
);
COMMENT ON TABLE motorisk.training_configuration IS 'the last row is in force';
GRANT SELECT, INSERT, UPDATE ON motorisk.training_configuration TO motorisk_pipeline;
GRANT SELECT ON motorisk.training_configuration TO motorisk_reading;
