"""SQL migrations of one namespace."""
