DROP TABLE motorisk.shadow_quote;
DROP TABLE motorisk.shadow;
