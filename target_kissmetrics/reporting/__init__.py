"""What a person sees of a run.

counts          what became of a stream's rows and calls
rejects         the file of what is not sent
progress        how far it is: lines, or
live            a display on a terminal, or
answered        calls answered, to the moment
metrics         structured metrics, which tell the end's figures as well
dry_run         calls told instead of sent
run_recorder    what a report will tell, collected as it happens; series: over time, in a bounded number of points
run_report      the report put together, and as JSON; told_settings: what it may tell of the settings
report_page     the same as a page; plot: its lines
report_file     where it goes, whole or not at all
"""
