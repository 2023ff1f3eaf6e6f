-- What did not become an event, by the message that it came as.

CREATE TABLE IF NOT EXISTS {{table duplicates}}
(
    tenant_id String,
    message_id String,
    event_type String,
    primary_key String,
    original_message_id String,
    received_at DateTime64(6, 'UTC'),
    ingestion_method String,
    submission_id String,
    original_event String CODEC(ZSTD(1)),
    origin String,
    first_wins UInt64 MATERIALIZED 18446744073709551615 - toUInt64OrZero(splitByChar(':', origin)[-1])
)
ENGINE = {{replacing first_wins}}
ORDER BY (tenant_id, message_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
{{distributed duplicates by sipHash64(tenant_id, message_id)}}

CREATE TABLE IF NOT EXISTS {{table normalization_errors}}
(
    tenant_id String,
    message_id String,
    event_type String,
    errors String CODEC(ZSTD(1)),
    raw_data String CODEC(ZSTD(1)),
    created_at DateTime64(6, 'UTC'),
    ingestion_method String,
    submission_id String,
    position UInt64,
    stage String,
    origin String,
    first_wins UInt64 MATERIALIZED 18446744073709551615 - toUInt64OrZero(splitByChar(':', origin)[-1])
)
ENGINE = {{replacing first_wins}}
ORDER BY (tenant_id, message_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
{{distributed normalization_errors by sipHash64(tenant_id, message_id)}}
