-- Challengers that price every quote again: one row a version, running until it is stopped. Started again, it goes on
-- and fills the gap.
CREATE TABLE motorisk.shadow (
    version integer PRIMARY KEY REFERENCES motorisk.model_version,
    -- quotes made from then on
    since timestamptz NOT NULL,
    -- quotes made before this have been looked for at least once
    looked_to timestamptz NOT NULL,
    started_by text NOT NULL CHECK (started_by <> ''),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stopped_at timestamptz,
    CHECK (looked_to >= since)
);

-- What a shadow says of a quote of the ledger: same input, same effective date, same tariff. No foreign key to the
-- ledger, whose rows never go and which nobody may hold up; and no guard against changes, since everything here can be
-- computed again.
CREATE TABLE motorisk.shadow_quote (
    version integer NOT NULL REFERENCES motorisk.shadow,
    quoted_at timestamptz NOT NULL,
    quote_id uuid NOT NULL,
    predictor text NOT NULL CHECK (predictor IN ('model', 'rules')),
    risk_class text NOT NULL CHECK (risk_class IN ('low', 'medium', 'high')),
    expected_risk double precision CHECK ((expected_risk IS NULL) = (predictor = 'rules')),
    -- hundred-millionths
    p_low integer NOT NULL,
    p_medium integer NOT NULL,
    p_high integer NOT NULL CHECK (p_low + p_medium + p_high = 100000000),
    net numeric(12, 2) NOT NULL CHECK (net >= 0),
    insurance_tax numeric(12, 2) NOT NULL CHECK (insurance_tax >= 0),
    gross numeric(12, 2) NOT NULL CHECK (gross = net + insurance_tax),
    PRIMARY KEY (version, quoted_at, quote_id)
);
