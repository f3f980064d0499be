"""What is sent, and in which order: batches on their way from rows to STATE."""
