"""The command `target-kissmetrics-preview`: what a run would send. It sends and stores nothing."""
