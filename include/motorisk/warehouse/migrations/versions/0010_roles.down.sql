DROP TRIGGER require_event ON motorisk.model_version;
DROP TRIGGER guard_version ON motorisk.model_version;
DROP FUNCTION motorisk.require_event();
DROP FUNCTION motorisk.guard_version();
DROP FUNCTION motorisk.is_owner(oid);

CREATE OR REPLACE FUNCTION motorisk.ensure_quote_partitions(day date) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    month date;
    partition text;
BEGIN
    FOR month IN SELECT generate_series(date_trunc('month', day), date_trunc('month', day) + interval '1 month',
                                        interval '1 month')::date
    LOOP
        partition := format('quote_%s', to_char(month, 'YYYY_MM'));
        CONTINUE WHEN to_regclass('motorisk.' || partition) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(hashtext('motorisk.ensure_quote_partitions'));
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS motorisk.%I PARTITION OF motorisk.quote FOR VALUES FROM (%L) TO (%L)',
            partition, month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
        );
    END LOOP;
END
$$;
ALTER FUNCTION motorisk.ensure_quote_partitions(date) RESET ALL;
GRANT EXECUTE ON FUNCTION motorisk.ensure_quote_partitions(date) TO PUBLIC;

DROP TRIGGER not_emptied ON motorisk.model_event;
DROP TRIGGER not_emptied ON motorisk.quote;
DO $$
DECLARE
    found regclass;
BEGIN
    FOR found IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'motorisk.quote'::regclass LOOP
        EXECUTE format('DROP TRIGGER not_emptied ON %s', found);
    END LOOP;
    FOR found IN
        SELECT oid::regclass FROM pg_class
        WHERE relnamespace = 'motorisk'::regnamespace AND relkind IN ('r', 'p')
            AND relowner = 'motorisk_pipeline'::regrole
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO CURRENT_USER', found);
    END LOOP;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA motorisk, insurance
    FROM motorisk_pipeline, motorisk_registry, motorisk_quoting, motorisk_reading, motorisk_importing;
REVOKE ALL ON FUNCTION motorisk.ensure_quote_partitions(date) FROM motorisk_pipeline, motorisk_quoting;
REVOKE ALL ON SCHEMA motorisk, insurance
    FROM motorisk_pipeline, motorisk_registry, motorisk_quoting, motorisk_reading, motorisk_importing;
REVOKE ALL ON public.alembic_version
    FROM motorisk_pipeline, motorisk_registry, motorisk_quoting, motorisk_reading, motorisk_importing;
