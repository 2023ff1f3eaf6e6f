"""The door for events that come by HTTP."""
