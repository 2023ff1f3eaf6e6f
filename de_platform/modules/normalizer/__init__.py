"""Checked, deduplicated, enriched events."""
