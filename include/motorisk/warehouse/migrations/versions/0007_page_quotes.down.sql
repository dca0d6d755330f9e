-- The ledger only grows: quotes of the page stay in it, new ones are refused.
ALTER TABLE motorisk.quote DROP CONSTRAINT quote_channel_check;
ALTER TABLE motorisk.quote ADD CONSTRAINT quote_channel_check
    CHECK (channel IN ('quote', 'predict', 'mock')) NOT VALID;
