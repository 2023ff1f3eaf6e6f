"""Measurements against peers and ceilings: ratios within one run."""
