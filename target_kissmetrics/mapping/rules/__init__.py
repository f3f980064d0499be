"""The rules that every kind of row shares."""
