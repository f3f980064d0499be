"""The command `target-kissmetrics-preview`: what a run would send, before it sends anything.

It reads Singer messages and the config as the target does and maps rows to calls, but sends and stores nothing. A
stream that would stop the run does not stop the preview: its rows are mapped with the suggested entry. Memory is
bounded for inputs of any length.

    config + Singer messages -> configuration, messages -> stream, preview -> text (a terminal, or HTML)
                                                               |
                                                            suggest -> entries of `streams` (YAML)

- `cli`: the command.
- `configuration`: the config, from files and the environment; no API key is needed.
- `messages`: reads Singer messages. Knows the SDK.
- `stream`, `preview`: one stream, and all of them: kinds, first rows beside their calls, counts, warnings.
- `totals`, `risks`, `explaining`: counts; what Kissmetrics would merge or drop; what each field of a row becomes.
- `suggest`: the likeliest entry of `streams` for a stream.
- `text`: what is shown, on a terminal or as an HTML page.
"""
