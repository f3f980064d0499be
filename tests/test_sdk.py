"""The SDK's standard target tests, all sixteen, against a real server on loopback.

`TargetMultipleStateMessages` is not among the SDK's sixteen: it compares parsed messages with texts and cannot pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.testing import get_target_test_class

from target_kissmetrics.sandbox.running import RunningSandbox, running
from target_kissmetrics.target import TargetKissmetrics

CONFIG: dict[str, Any] = {
    "api_key": "0123456789abcdef",
    "max_connections": 4,
    # The standard streams are nobody's in particular: some field of each is taken for the person's ID.
    "streams": [
        {"stream": "*camelcase*", "kind": "user_attributes", "customer_id": "Id"},
        {"stream": "TestCamelcase", "kind": "user_attributes", "customer_id": "Id"},
        {"stream": "ForecastingTypeToCategory", "kind": "user_attributes", "customer_id": "Id"},
        {"stream": "test_object_schema_*", "kind": "user_attributes", "customer_id": "object_store.id"},
        # A schema without properties is no mistake here; a stream of which nothing is known stops the run.
        {"stream": "test_invalid_schema"},
        {"stream": "*", "kind": "user_attributes", "customer_id": "id"},
    ],
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TARGET_KISSMETRICS_TRACKING_URL", sandbox.url)


class TestTargetKissmetrics(get_target_test_class(TargetKissmetrics, config=CONFIG)):  # type: ignore[misc]
    """The standard tests; they read `tracking_url` from the environment."""

    test_target_record_missing_key_property = None
    """Such a row is rejected, and does not end the run: see `tests/cases/row-without-its-key.json`."""


def test_they_are_fifteen() -> None:
    tests = [name for name in dir(TestTargetKissmetrics) if name.startswith("test_")]
    assert len([name for name in tests if getattr(TestTargetKissmetrics, name)]) == 15
