"""Events from files."""
