-- A corrected rate is a later row for the same day: what was known when stays known.
CREATE TABLE currency_rates (
    from_currency text COLLATE "C" NOT NULL,
    to_currency text COLLATE "C" NOT NULL,
    rate numeric NOT NULL CHECK (rate > 0 AND rate < 'Infinity'),
    effective_at timestamptz NOT NULL,
    loaded_at timestamptz NOT NULL,
    PRIMARY KEY (from_currency, to_currency, effective_at, loaded_at)
);

CREATE INDEX currency_rates_by_loading ON currency_rates (loaded_at);
