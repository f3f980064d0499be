r"""A look at what a run would send, before it sends anything: the command `target-kissmetrics-preview`.

It reads Singer lines and the config as the target does, goes the target's own way from rows to calls, and stops there:
nothing is sent, nothing is remembered. A stream that would stop the run does not stop the preview: it goes on with the
entry that is suggested for it. Memory stays bounded, however long the input is.

    config + Singer lines -> configuration, messages -> collecting -> text (a terminal)
                                                            |     \-> page (HTML)
                                    explaining, totals, suggesting  \-> entries (YAML)

- `cli`: the command.
- `configuration`: the config, from files and the environment; no API key is needed.
- `messages`: Singer messages as rows of streams, after stream maps. Knows the SDK.
- `collecting`: how each stream was understood, its first rows beside their calls, totals, warnings. Pure.
- `totals`: bounded counts. Pure.
- `explaining`: what each field of a row became. Pure.
- `profile`: what a stream's fields hold. Pure.
- `words`, `roles`, `advice`, `suggesting`: the likeliest entry of `streams` for a stream. Pure.
- `entries`: entries written as YAML. Pure.
- `text`, `page`: a preview for a terminal and as one HTML page.
"""
