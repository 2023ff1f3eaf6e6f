"""The demo's data: history through the real intake, then a live stream."""
