DO $$
DECLARE
    commented text;
BEGIN
    FOR commented IN
        SELECT CASE
            WHEN objsubid = 0 THEN format('TABLE %s', objoid::regclass)
            ELSE format('COLUMN %s.%I', objoid::regclass, attname)
        END
        FROM pg_description
        JOIN pg_class ON pg_class.oid = objoid
        LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid
        WHERE classoid = 'pg_class'::regclass AND relkind IN ('r', 'p') AND NOT relispartition
            AND relnamespace IN ('insurance'::regnamespace, 'motorisk'::regnamespace)
    LOOP
        EXECUTE format('COMMENT ON %s IS NULL', commented);
    END LOOP;
END
$$;

-- Those of earlier migrations.
COMMENT ON COLUMN insurance.policy.age IS 'years';
COMMENT ON COLUMN insurance.policy.braking_distance IS 'metres from 100 km/h';
COMMENT ON COLUMN insurance.policy.power IS 'kW';
COMMENT ON COLUMN insurance.policy.miles IS 'thousand miles a year';
COMMENT ON COLUMN motorisk.performance.bias IS 'observed less expected risk index, in standard errors';
COMMENT ON COLUMN motorisk.performance.actual IS 'policies by class';
COMMENT ON COLUMN motorisk.performance.expected IS 'sum of stated probabilities by class';
COMMENT ON COLUMN motorisk.drift_metric.rows IS 'rows with a value';
COMMENT ON COLUMN motorisk.drift_metric.evidence IS 'e-value of all windows since the reference; null: fixed thresholds';
COMMENT ON COLUMN motorisk.drift_metric.per_month IS 'movement of the mean, in the unit of the feature';
COMMENT ON COLUMN motorisk.drift_metric.passes IS 'when the score passes its threshold at this rate';
COMMENT ON COLUMN motorisk.drift_run.kind IS 'policies: the newest month; quotes, scores: those of the day';
COMMENT ON COLUMN motorisk.drift_run.report IS 'the snapshot in the Evidently workspace';
COMMENT ON TABLE motorisk.training_configuration IS 'the last row is in force';
