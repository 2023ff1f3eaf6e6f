"""Seeded demo data: believable tenants, thirty days of history, planted abuse with a known answer, a live stream."""
