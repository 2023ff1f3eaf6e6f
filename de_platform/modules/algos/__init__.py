"""Realtime algorithms over enriched events."""
