r"""A Kissmetrics on one's own machine: for trying a mapping before anything irreversible is sent, for demos and tests.

It takes calls as the tracking API does and keeps what Kissmetrics' documentation says it keeps. What it does not keep
it can say, with the reason: what the real service never does. The data flows one way:

    HTTP request -> server -> Sandbox -> Model -> answers -> /api/ and the page
    import file  -> imports ----^  \-> Journal (a file, when asked for)

- `rules`: what a name, an identity, a value, a number and a time are. Pure.
- `model`: what becomes of a call: kept or not, and why; people, aliases, instances. Pure.
- `imports`: lines of Kissmetrics' JSON import files, read as calls.
- `answers`: the JSON that the API answers, taken from a model. Pure.
- `views`: the JSON behind the page's views: calls, time lines, counts over time, funnels, search. Pure.
- `journal`: the calls that arrived, in a SQLite file, so that a sandbox outlives its process.
- `service`: `Sandbox`, a model and its journal together.
- `server`: the HTTP side (Starlette on uvicorn); `page.html` is the page at `/`.
- `running`: a sandbox in a background thread, for tests and demos.
- `cli`: the command `kissmetrics-sandbox`.

Only `server`, `running` and `cli` need the extra `sandbox` (Starlette, uvicorn).
"""
