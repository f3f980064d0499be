"""What a person sees of a run.

counts    what became of a stream's rows and calls
rejects   the file of what is not sent
progress  one line every ten seconds
dry_run   calls told instead of sent
"""
