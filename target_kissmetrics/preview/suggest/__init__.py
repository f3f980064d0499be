"""Suggests entries of `streams`: which column is the person, the time, the name, the money.

- `columns`: what each column of a stream holds.
- `roles`: the table of names and checks for each role, and the function that ranks columns by it.
- `shapes`: tables that are known by their names.
- `entry`, `as_yaml`: the entry for a stream, with reasons.
- `advice`: what no entry fixes: wrong money, rows without an ID, streams with different IDs.
"""
