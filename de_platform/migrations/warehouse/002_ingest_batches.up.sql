-- One row for each file that was written from a topic; a file's name is a function of where its records begin.
CREATE TABLE ingest_batches (
    batch_id text COLLATE "C" PRIMARY KEY,
    topic text NOT NULL,
    partition integer NOT NULL,
    first_offset bigint NOT NULL,
    last_offset bigint NOT NULL,
    record_count integer NOT NULL,
    byte_count bigint NOT NULL,
    path text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (topic, partition, first_offset)
);
