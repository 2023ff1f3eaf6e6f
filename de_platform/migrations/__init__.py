"""SQL migrations, one directory a namespace: `NNN_name.up.sql` and `NNN_name.down.sql`."""
