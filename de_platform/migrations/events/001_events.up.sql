-- Events by identity: of rows with the same (tenant, day, id) the one with the lowest log offset stays.
-- Inserts and merges are on disk before they count. Strings are plain, because LowCardinality costs a third of the
-- rate at which rows go in.

CREATE TABLE IF NOT EXISTS {{table orders}}
(
    id String,
    tenant_id String,
    status String,
    transact_time DateTime64(6, 'UTC'),
    order_id String,
    symbol String,
    side String,
    quantity Decimal(38, 18),
    price Nullable(Decimal(38, 18)),
    order_type String,
    currency String,
    client_id String,
    supersedes String,
    additional_fields String CODEC(ZSTD(1)),
    message_id String,
    ingested_at DateTime64(6, 'UTC'),
    event_type String,
    ingestion_method String,
    submission_id String,
    replayed_at Nullable(DateTime64(6, 'UTC')),
    normalized_at DateTime64(6, 'UTC'),
    primary_key String,
    origin String,
    notional Nullable(Decimal(76, 36)),
    notional_usd Nullable(Decimal(38, 8)),
    usd_rate Decimal(38, 18),
    usd_rate_on Date,
    transact_date Date MATERIALIZED toDate(transact_time),
    first_wins UInt64 MATERIALIZED 18446744073709551615 - toUInt64OrZero(splitByChar(':', origin)[-1])
)
ENGINE = {{replacing first_wins}}
PARTITION BY toYYYYMM(transact_date)
ORDER BY (tenant_id, transact_date, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
{{distributed orders by sipHash64(tenant_id, id)}}

CREATE TABLE IF NOT EXISTS {{table executions}}
(
    id String,
    tenant_id String,
    status String,
    transact_time DateTime64(6, 'UTC'),
    order_id String,
    symbol String,
    side String,
    quantity Decimal(38, 18),
    price Decimal(38, 18),
    execution_venue String,
    currency String,
    client_id String,
    supersedes String,
    additional_fields String CODEC(ZSTD(1)),
    message_id String,
    ingested_at DateTime64(6, 'UTC'),
    event_type String,
    ingestion_method String,
    submission_id String,
    replayed_at Nullable(DateTime64(6, 'UTC')),
    normalized_at DateTime64(6, 'UTC'),
    primary_key String,
    origin String,
    notional Decimal(76, 36),
    notional_usd Decimal(38, 8),
    usd_rate Decimal(38, 18),
    usd_rate_on Date,
    transact_date Date MATERIALIZED toDate(transact_time),
    first_wins UInt64 MATERIALIZED 18446744073709551615 - toUInt64OrZero(splitByChar(':', origin)[-1])
)
ENGINE = {{replacing first_wins}}
PARTITION BY toYYYYMM(transact_date)
ORDER BY (tenant_id, transact_date, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
{{distributed executions by sipHash64(tenant_id, id)}}

CREATE TABLE IF NOT EXISTS {{table transactions}}
(
    id String,
    tenant_id String,
    status String,
    transact_time DateTime64(6, 'UTC'),
    account_id String,
    counterparty_id String,
    amount Decimal(38, 18),
    currency String,
    transaction_type String,
    client_id String,
    supersedes String,
    additional_fields String CODEC(ZSTD(1)),
    message_id String,
    ingested_at DateTime64(6, 'UTC'),
    event_type String,
    ingestion_method String,
    submission_id String,
    replayed_at Nullable(DateTime64(6, 'UTC')),
    normalized_at DateTime64(6, 'UTC'),
    primary_key String,
    origin String,
    amount_usd Decimal(38, 8),
    usd_rate Decimal(38, 18),
    usd_rate_on Date,
    transact_date Date MATERIALIZED toDate(transact_time),
    first_wins UInt64 MATERIALIZED 18446744073709551615 - toUInt64OrZero(splitByChar(':', origin)[-1])
)
ENGINE = {{replacing first_wins}}
PARTITION BY toYYYYMM(transact_date)
ORDER BY (tenant_id, transact_date, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
{{distributed transactions by sipHash64(tenant_id, id)}}
