"""Keeps events, duplicates and errors in the analytical store."""
