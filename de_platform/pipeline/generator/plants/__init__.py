"""Abuse to be found, one scenario a file. A new scenario is a file here and its line in `catalog`."""
