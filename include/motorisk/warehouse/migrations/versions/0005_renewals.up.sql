-- The tables of runs that are under way have another form: these runs begin anew.
DO $$
DECLARE
    run record;
BEGIN
    FOR run IN SELECT as_of, run_id FROM motorisk.score_plan LOOP
        EXECUTE format('DROP TABLE IF EXISTS motorisk.%I', format('score_%s_%s', to_char(run.as_of, 'YYYYMMDD'), run.run_id));
    END LOOP;
    DELETE FROM motorisk.score_plan;
END
$$;

-- A renewal is found by customer, day and car: see pipelines/scoring/renewals.py.
CREATE INDEX policy_customer ON insurance.policy (customer_id, expiry_date) WHERE customer_id IS NOT NULL;

ALTER TABLE motorisk.score
    -- euros a year and class of a year before, of the same policy or of the one that it renewed; null where there is none
    ADD COLUMN net_before numeric(12, 2),
    ADD COLUMN class_before text,
    -- whether net is not what the tariff gives but what the cap on changes at renewal allows
    ADD COLUMN capped boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT score_renewal CHECK (
        CASE
            WHEN net_before IS NULL THEN class_before IS NULL AND NOT capped
            ELSE net_before >= 0 AND class_before IN ('low', 'medium', 'high')
        END
    );

ALTER TABLE motorisk.score_plan
    -- the largest change at renewal as a share (null: no cap), and the published run of a year before; fixed for the run
    ADD COLUMN renewal_cap numeric(6, 4) CHECK (renewal_cap >= 0),
    ADD COLUMN before date,
    ADD COLUMN before_run bigint,
    ADD CHECK ((before IS NULL) = (before_run IS NULL));

ALTER TABLE motorisk.score_part
    ADD COLUMN renewals integer,
    ADD COLUMN capped integer,
    ADD COLUMN class_changed integer;

ALTER TABLE motorisk.score_run
    ADD COLUMN renewals integer NOT NULL DEFAULT 0 CHECK (renewals BETWEEN 0 AND rows),
    ADD COLUMN capped integer NOT NULL DEFAULT 0 CHECK (capped BETWEEN 0 AND renewals),
    ADD COLUMN class_changed integer NOT NULL DEFAULT 0 CHECK (class_changed BETWEEN 0 AND renewals),
    ADD COLUMN renewal_cap numeric(6, 4),
    ADD COLUMN before date,
    -- the file that holds the scores since they left the database, below the archive's folder
    ADD COLUMN archive text,
    ADD COLUMN archived_at timestamptz,
    ADD CHECK ((archive IS NULL) = (archived_at IS NULL));
ALTER TABLE motorisk.score_run
    ALTER COLUMN renewals DROP DEFAULT,
    ALTER COLUMN capped DROP DEFAULT,
    ALTER COLUMN class_changed DROP DEFAULT;

-- For dashboards and exporters of metrics: a row a date, figures alone.
CREATE VIEW motorisk.v_score_run AS
SELECT
    as_of,
    version,
    tariff,
    published_at,
    rows,
    quarantined,
    quarantined::double precision / nullif(rows + quarantined, 0) AS quarantined_share,
    (by_predictor ->> 'rules')::integer AS by_rules,
    (by_class ->> 'low')::integer AS class_low,
    (by_class ->> 'medium')::integer AS class_medium,
    (by_class ->> 'high')::integer AS class_high,
    net_total,
    renewals,
    capped,
    class_changed,
    partitions,
    seconds,
    rows / nullif(seconds, 0) AS rows_a_second,
    archived_at IS NOT NULL AS archived
FROM motorisk.score_run;
