"""Names in the config that no stream of the input has."""

from __future__ import annotations

import json

from preview_streams import messages, plan, schema_of

from target_kissmetrics.preview.collecting import Preview
from target_kissmetrics.preview.entries import as_yaml
from target_kissmetrics.preview.messages import read

ROWS = [{"id": "u1", "email": "ada@x.org", "plan": "Gold"}]


def test_the_preview_warns_and_marks_the_suggested_entry() -> None:
    preview = Preview(plan({"stream": "custmers", "kind": "ignore"}, {"stream": "gone"}, {"stream": "x*"}))
    preview.schema("customers", schema_of(ROWS), ["id"], lambda _: None)
    preview.row("customers", ROWS[0], None)
    preview.finish()
    slip = "for 'custmers', and no stream of the input has that name; did you mean 'customers'?"
    gone = "for 'gone', and no stream of the input has that name"
    assert preview.warnings == [f"streams[0] is {slip}", f"streams[1] is {gone}"]
    written = as_yaml(preview.suggestions())
    assert f"  # as configured\n  # {slip}\n  - stream: custmers\n" in written
    assert f"  # as configured\n  # {gone}\n  - stream: gone\n" in written
    assert "  # as configured\n  - stream: x*\n" in written


def test_the_preview_warns_of_stream_maps_and_not_of_an_empty_input() -> None:
    config = {"stream_maps": {"custmers": {"plan": "'Pro'"}, "__else__": None}}
    preview, empty = Preview(plan()), Preview(plan({"stream": "gone"}))
    read([json.dumps(line) for line in messages("customers", ROWS, ["id"])], preview, config)  # type: ignore[arg-type]
    preview.finish()
    (told,) = preview.warnings
    assert told.startswith("stream_maps is for 'custmers', and no stream of the input has that name; did you mean ")
    assert told.endswith("; did you mean 'customers'?")
    read([""], empty, config)  # type: ignore[arg-type]
    empty.finish()
    assert empty.warnings == []
