"""Reading what a tap sends: messages, BATCH files, stream maps; signals; and STATE output."""
