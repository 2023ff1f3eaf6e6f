"""Real engines on this machine without a container engine: found or fetched, started, watched and stopped."""
