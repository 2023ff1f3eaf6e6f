"""Events from the topics of clients."""
