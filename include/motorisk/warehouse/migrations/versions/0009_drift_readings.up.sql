-- What a night says of each feature that drifts; a night that runs again replaces what it said.
CREATE TABLE motorisk.drift_reading (
    as_of date NOT NULL,
    feature text NOT NULL,
    version integer NOT NULL REFERENCES motorisk.model_version,
    action text NOT NULL CHECK (action IN ('nothing', 'recalibrate', 'retrain', 're-engineer', 'fall back')),
    says text NOT NULL,
    -- importance, money and its intervals, outcomes, segments: include/motorisk/monitoring/telling.py
    reading jsonb NOT NULL,
    PRIMARY KEY (as_of, feature)
);
