"""The only consumer loop of the platform."""
