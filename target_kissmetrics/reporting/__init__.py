"""What a person sees of a run.

counts                  the counts of each stream
monitor                 the one observer of a run; it feeds progress (the log, metrics), live (a terminal), recorder
report, recorder        the report's fields, and what records them; report_page, plot: the report as a page
report_writer           writes the report; told_settings: the settings as it shows them
dry_run                 the delivery that logs calls
display, html_page      text from data, sanitized; what all pages share
"""
