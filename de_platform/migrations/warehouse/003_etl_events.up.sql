-- Source and target of ETL jobs: events as they came, and as a job made them.
CREATE TABLE events (
    event_id text COLLATE "C" PRIMARY KEY,
    event_type text NOT NULL,
    tenant_id text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cleaned_events (
    event_id text COLLATE "C" PRIMARY KEY,
    event_type text NOT NULL,
    tenant_id text NOT NULL,
    payload jsonb NOT NULL,
    cleaned_at timestamptz NOT NULL DEFAULT now()
);
