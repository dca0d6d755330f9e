ALTER TABLE motorisk.quote DROP COLUMN client;
DROP TABLE motorisk.api_key;
