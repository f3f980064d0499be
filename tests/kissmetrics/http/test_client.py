"""The number of connections, which the process's limit of open files bounds."""

from __future__ import annotations

import pytest

from target_kissmetrics.kissmetrics.http.transport import OTHER_FILES, affordable

resource = pytest.importorskip("resource")


@pytest.mark.parametrize(
    ("limit", "asked", "made"),
    [
        (OTHER_FILES + 128, 64, 64),
        (OTHER_FILES + 127, 64, 63),
        (64, 64, 16),
        (64, 4, 4),
        (8, 64, 1),
        (resource.RLIM_INFINITY, 1024, 1024),
    ],
)
def test_connections_are_fewer_where_few_files_may_be_open(
    monkeypatch: pytest.MonkeyPatch, limit: int, asked: int, made: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    warnings: list[str] = []
    assert affordable(asked, warnings.append) == made
    needed = OTHER_FILES + 2 * asked
    warning = f"max_connections: {made}, as {limit} files may be open; set ulimit -n {needed} for {asked}"
    assert warnings == ([warning] if made < asked else [])
