"""The configuration: settings, entries of `streams`, files and the environment."""
