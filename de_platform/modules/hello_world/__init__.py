"""The smallest example of a module."""
