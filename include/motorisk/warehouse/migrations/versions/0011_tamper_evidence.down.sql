DROP TRIGGER append_only ON motorisk.quote;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON motorisk.quote
    FOR EACH ROW EXECUTE FUNCTION motorisk.refuse_change();
DROP TABLE motorisk.erased_reference;
DROP TABLE motorisk.erasure;
DROP TABLE motorisk.quote_seal;
DROP FUNCTION motorisk.refuse_ledger_change();
DROP FUNCTION motorisk.refuse_seal_change();
ALTER TABLE motorisk.model_version DROP CONSTRAINT plan_size;
DROP TRIGGER chained ON motorisk.model_event;
DROP FUNCTION motorisk.chain_event();
ALTER TABLE motorisk.model_event DROP COLUMN position, DROP COLUMN digest;
