"""Keeps every stored record as files, too."""
