"""The reading side: alerts and events by HTTP, the user interface, and the alerts' way into their store."""
