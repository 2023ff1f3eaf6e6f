-- One row for each file that was written from a topic; `batch_id` is a function of its path.
CREATE TABLE ingest_batches (
    batch_id text COLLATE "C" PRIMARY KEY,
    topic text NOT NULL,
    partition integer NOT NULL,
    first_offset bigint NOT NULL,
    last_offset bigint NOT NULL,
    record_count integer NOT NULL,
    byte_count bigint NOT NULL,
    path text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE INDEX ingest_batches_by_topic ON ingest_batches (topic, partition, first_offset);
