"""DE Platform: trade surveillance and transaction monitoring that shows it is complete."""

__version__ = "0.1.0"
