"""The command `target-kissmetrics-preview`: what a run would send, before it sends anything.

It reads Singer messages and the config as the target does and maps rows to calls, but sends and stores nothing. A
stream that would stop the run does not stop the preview: its rows are mapped with the suggested entry. Memory is
bounded for inputs of any length.

    config + Singer messages -> configuration, messages -> stream, preview -> text (a terminal, or HTML)
                                                               |
                                totals, risks, explaining; suggest: entries of `streams` (YAML)
"""
