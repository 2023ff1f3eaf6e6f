-- Each violation episode once: its id is a function of the episode.
CREATE TABLE alerts (
    alert_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    algorithm text COLLATE "C" NOT NULL,
    severity text COLLATE "C" NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    description text COLLATE "C" NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL
);

-- Pages are read in the order of these indexes, newest first.
CREATE INDEX alerts_by_time ON alerts (tenant_id, created_at DESC NULLS LAST, alert_id DESC NULLS LAST);
CREATE INDEX alerts_by_severity ON alerts (tenant_id, severity, created_at DESC NULLS LAST, alert_id DESC NULLS LAST);
CREATE INDEX alerts_by_algorithm ON alerts (tenant_id, algorithm, created_at DESC NULLS LAST, alert_id DESC NULLS LAST);
CREATE INDEX alerts_by_event ON alerts (tenant_id, event_type, event_id);
