"""A topic into files of the data lake."""
