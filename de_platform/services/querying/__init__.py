"""Queries over stored rows: checked once, then answered by SQL or, in fakes, in memory."""
