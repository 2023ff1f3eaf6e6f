"""The domain and the data plane: pure functions and values, no I/O, no clock, no randomness."""
