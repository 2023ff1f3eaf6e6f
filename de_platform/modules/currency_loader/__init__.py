"""Exchange rates from a file or a URL into the rate store."""
