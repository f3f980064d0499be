"""Message formats: a row is a message, a batch of messages, or a line of a file."""
