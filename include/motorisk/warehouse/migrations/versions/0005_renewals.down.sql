DROP VIEW motorisk.v_score_run;
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
ALTER TABLE motorisk.score_run
    DROP COLUMN renewals,
    DROP COLUMN capped,
    DROP COLUMN class_changed,
    DROP COLUMN renewal_cap,
    DROP COLUMN before,
    DROP COLUMN archive,
    DROP COLUMN archived_at;
ALTER TABLE motorisk.score_part
    DROP COLUMN renewals,
    DROP COLUMN capped,
    DROP COLUMN class_changed;
ALTER TABLE motorisk.score_plan
    DROP COLUMN renewal_cap,
    DROP COLUMN before,
    DROP COLUMN before_run;
ALTER TABLE motorisk.score
    DROP COLUMN net_before,
    DROP COLUMN class_before,
    DROP COLUMN capped;
DROP INDEX insurance.policy_customer;
