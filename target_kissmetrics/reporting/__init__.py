"""What a person sees of a run.

counts                      the counts of each stream
rejects, reject_policy      the file of rejected rows; when a row is rejected, and when rejects end the run
monitor                     the one observer of a run: it feeds the log, metrics, live (a terminal), the report
report, report_page         the report's fields and what records them; the report as a page
report_writer               writes the report
dry_run                     what logs calls and rejects in the place of sending them
display, logs, redaction    text from data, sanitized; what leaves through the log; secrets, hidden
"""
