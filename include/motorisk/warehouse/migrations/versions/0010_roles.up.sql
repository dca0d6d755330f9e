-- What each role may is told to people in docs/security.md. Nobody is granted the tables of a month or a date: rights on
-- `quote` and `score` are rights on their partitions, also on those to come.

GRANT SELECT ON public.alembic_version
    TO motorisk_pipeline, motorisk_registry, motorisk_quoting, motorisk_reading, motorisk_importing;
GRANT USAGE ON SCHEMA motorisk
    TO motorisk_pipeline, motorisk_registry, motorisk_quoting, motorisk_reading, motorisk_importing;
GRANT USAGE ON SCHEMA insurance TO motorisk_pipeline, motorisk_reading, motorisk_importing;

-- Importing: adds to the insurer's tables, and never changes what is there.
GRANT SELECT, INSERT ON insurance.policy, insurance.outcome, motorisk.quarantined_row TO motorisk_importing;

-- The registry: decides about versions, and tells it.
GRANT SELECT ON motorisk.model_version, motorisk.model_event, motorisk.shadow, motorisk.tariff
    TO motorisk_registry, motorisk_pipeline;
GRANT UPDATE (state, approved_by, approved_at) ON motorisk.model_version TO motorisk_registry, motorisk_pipeline;
GRANT INSERT (version, event, actor, comment, details) ON motorisk.model_event TO motorisk_registry, motorisk_pipeline;
GRANT INSERT, UPDATE ON motorisk.shadow TO motorisk_registry, motorisk_pipeline;

-- The pipeline: trains, scores and watches.
GRANT INSERT ON motorisk.model_version TO motorisk_pipeline;
GRANT SELECT ON insurance.policy, insurance.outcome, motorisk.quote TO motorisk_pipeline;
GRANT SELECT, INSERT ON
    motorisk.shadow_quote, motorisk.drift_threshold, motorisk.drift_window, motorisk.drift_window_metric
    TO motorisk_pipeline;
GRANT SELECT, DELETE ON motorisk.drift_inbox TO motorisk_pipeline;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    motorisk.score_run, motorisk.score_plan, motorisk.score_part, motorisk.score_quarantine, motorisk.drift_run,
    motorisk.drift_metric, motorisk.drift_reading, motorisk.performance, motorisk.alarm
    TO motorisk_pipeline;
GRANT SELECT ON motorisk.v_score_run TO motorisk_pipeline;

-- Scoring fills a table of its own and makes it a date's partition, which only the owner of both can.
GRANT CREATE ON SCHEMA motorisk TO motorisk_pipeline;
DO $$
DECLARE
    score regclass;
BEGIN
    FOR score IN
        SELECT 'motorisk.score'::regclass
        UNION SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'motorisk.score'::regclass
        UNION SELECT to_regclass(format('motorisk.%I', format('score_%s_%s', to_char(as_of, 'YYYYMMDD'), run_id)))
            FROM motorisk.score_plan
    LOOP
        CONTINUE WHEN score IS NULL;
        EXECUTE format('ALTER TABLE %s OWNER TO motorisk_pipeline', score);
    END LOOP;
END
$$;

-- The quote service: prices, records, and shows figures of the nights. Nothing of the insurer's.
GRANT SELECT ON
    motorisk.model_version, motorisk.tariff, motorisk.api_key, motorisk.quote, motorisk.quote_key, motorisk.drift_inbox,
    motorisk.score_run, motorisk.drift_run, motorisk.drift_metric, motorisk.drift_window, motorisk.drift_window_metric,
    motorisk.performance, motorisk.alarm
    TO motorisk_quoting;
GRANT INSERT ON motorisk.quote TO motorisk_quoting;
GRANT INSERT, DELETE ON motorisk.quote_key, motorisk.drift_inbox TO motorisk_quoting;
GRANT UPDATE (last_used_on) ON motorisk.api_key TO motorisk_quoting;

-- Reading: analysts and dashboards. Not who the customer is, nor what may hold it: references of sales channels, lines of
-- imported files and why they were refused. No keys.
GRANT SELECT (policy_id, effective_date, expiry_date, training, age, emergency_braking, braking_distance, power, miles)
    ON insurance.policy TO motorisk_reading;
GRANT SELECT (
    quoted_at, quote_id, channel, effective_date, training, age, emergency_braking, braking_distance, power, miles,
    version, digest, tariff, predictor, risk_class, expected_risk, p_low, p_medium, p_high, net, insurance_tax, gross,
    client
) ON motorisk.quote TO motorisk_reading;
GRANT SELECT (source_digest, line, source, quarantined_at) ON motorisk.quarantined_row TO motorisk_reading;
GRANT SELECT ON
    insurance.outcome, motorisk.model_version, motorisk.model_event, motorisk.shadow, motorisk.shadow_quote,
    motorisk.tariff, motorisk.score, motorisk.score_run, motorisk.score_plan, motorisk.score_part,
    motorisk.score_quarantine, motorisk.v_score_run, motorisk.drift_run, motorisk.drift_metric, motorisk.drift_reading,
    motorisk.drift_threshold, motorisk.drift_inbox, motorisk.drift_window, motorisk.drift_window_metric,
    motorisk.performance, motorisk.alarm
    TO motorisk_reading;

-- The audit trail and the ledger cannot be emptied either. A statement that names a partition passes by its parent, so
-- that each partition has the trigger too.
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON motorisk.model_event
    FOR EACH STATEMENT EXECUTE FUNCTION motorisk.refuse_change();
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON motorisk.quote
    FOR EACH STATEMENT EXECUTE FUNCTION motorisk.refuse_change();
DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'motorisk.quote'::regclass LOOP
        EXECUTE format(
            'CREATE TRIGGER not_emptied BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION motorisk.refuse_change()',
            partition
        );
    END LOOP;
END
$$;

-- As before, now with the rights of the ledger's owner: whoever may record quotes need not own the ledger.
CREATE OR REPLACE FUNCTION motorisk.ensure_quote_partitions(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
        CONTINUE WHEN to_regclass('motorisk.' || partition) IS NOT NULL;
        EXECUTE format(
            'CREATE TABLE motorisk.%I PARTITION OF motorisk.quote FOR VALUES FROM (%L) TO (%L)',
            partition, month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
        );
        EXECUTE format(
            'CREATE TRIGGER not_emptied BEFORE TRUNCATE ON motorisk.%I FOR EACH STATEMENT '
            'EXECUTE FUNCTION motorisk.refuse_change()', partition
        );
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION motorisk.ensure_quote_partitions(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION motorisk.ensure_quote_partitions(date) TO motorisk_quoting, motorisk_pipeline;

-- Nobody but the registry changes a champion: whoever may touch a version's state at all can take it only the way that
-- the registry's rules allow, and has told it in the audit trail when the transaction ends. The owner of the table could
-- drop these triggers as well and is not held up by them; `motorisk audit verify` compares states and trail.
CREATE FUNCTION motorisk.is_owner(relation oid) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = relation
$$;

CREATE FUNCTION motorisk.guard_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF motorisk.is_owner(TG_RELID) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'candidate' OR NEW.approved_by IS NOT NULL THEN
            RAISE EXCEPTION 'a version begins as a candidate that nobody has approved'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('candidate', 'validated'), ('candidate', 'rejected'), ('validated', 'approved'), ('validated', 'rejected'),
        ('approved', 'retired'), ('retired', 'approved')
    ) THEN
        RAISE EXCEPTION 'version %: a % version cannot become %', OLD.version, OLD.state, NEW.state
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.state IN ('validated', 'approved') AND EXISTS (
        SELECT FROM jsonb_array_elements(NEW.gates) AS gate WHERE NOT (gate ->> 'passed')::boolean
    ) THEN
        RAISE EXCEPTION 'version % missed its gates', OLD.version USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.state = 'approved' AND lower(btrim(NEW.approved_by)) = lower(btrim(NEW.trained_by)) THEN
        RAISE EXCEPTION 'version %: whoever trained it cannot approve it', OLD.version
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (NEW.approved_by, NEW.approved_at) IS DISTINCT FROM (OLD.approved_by, OLD.approved_at)
        AND NOT (NEW.state = 'approved' AND OLD.state <> 'approved') THEN
        RAISE EXCEPTION 'version %: who approved it stands', OLD.version USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_version BEFORE INSERT OR UPDATE ON motorisk.model_version
    FOR EACH ROW EXECUTE FUNCTION motorisk.guard_version();

CREATE FUNCTION motorisk.require_event() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT motorisk.is_owner(TG_RELID) AND NOT EXISTS (
        SELECT FROM motorisk.model_event
        WHERE version = NEW.version AND happened_at >= transaction_timestamp() AND event = ANY (
            CASE NEW.state
                WHEN 'approved' THEN ARRAY['approved', 'reinstated']
                WHEN 'retired' THEN ARRAY['retired', 'rolled back']
                ELSE ARRAY[NEW.state]
            END
        )
    ) THEN
        RAISE EXCEPTION 'version % became % without a word in the audit trail', NEW.version, NEW.state
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER require_event AFTER UPDATE OF state ON motorisk.model_version
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION motorisk.require_event();
