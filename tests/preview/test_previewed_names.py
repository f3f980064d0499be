"""Names in the config that no stream of the input has."""

from __future__ import annotations

import io
import json

from preview_streams import messages, plan, schema_of

from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.suggest.entry import as_yaml

ROWS = [{"id": "u1", "email": "ada@x.org", "plan": "Gold"}]


def test_the_preview_warns_and_marks_the_suggested_entry() -> None:
    preview = Preview(plan({"stream": "custmers", "kind": "ignore"}, {"stream": "gone"}, {"stream": "x*"}))
    preview.stream("customers").schema(schema_of(ROWS), ["id"])
    preview.stream("customers").row(ROWS[0], None)
    preview.finish()
    slip, gone = (warning.split(" ", 1)[1] for warning in preview.warnings)
    assert slip.startswith("'custmers' matches no stream of the input; did you mean 'customers'")
    assert gone == "'gone' matches no stream of the input"
    assert [warning.split(" ")[0] for warning in preview.warnings] == ["streams[0]:", "streams[1]:"]
    written = as_yaml(preview.suggestions())
    assert f"  # as configured\n  # {slip}\n  - stream: custmers\n" in written
    assert f"  # as configured\n  # {gone}\n  - stream: gone\n" in written
    assert "  # as configured\n  - stream: x*\n" in written


def test_the_preview_warns_of_stream_maps_and_not_of_an_empty_input() -> None:
    config = {"stream_maps": {"custmers": {"plan": "'Pro'"}, "__else__": None}}
    preview, empty = Preview(plan()), Preview(plan({"stream": "gone"}))
    lines = "".join(json.dumps(line) + "\n" for line in messages("customers", ROWS, ["id"]))
    preview.read(io.StringIO(lines), config)
    preview.finish()
    (told,) = preview.warnings
    assert told.startswith("stream_maps: 'custmers' matches no stream of the input; did you mean 'customers'")
    empty.read(io.StringIO(""), config)
    empty.finish()
    assert empty.warnings == []
