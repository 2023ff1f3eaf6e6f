"""Extract, transform, load, from classes that the operator names."""
