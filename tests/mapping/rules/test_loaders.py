"""Columns of loaders, and which rows they mark as deleted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_kissmetrics.mapping.rules.loaders import is_deleted

DATED = ["_sdc_deleted_at", "_SDC_DELETED_AT", "_sdcDeletedAt", "_sdc_lsn_deleted_at", "_ab_cdc_deleted_at"]
FLAGS = ["_fivetran_deleted", "_FIVETRAN_DELETED", "_fivetranDeleted", "__deleted", "__DELETED", "_Deleted"]


@pytest.mark.parametrize("field", DATED)
def test_a_time_of_deletion_marks_a_row(field: str) -> None:
    assert is_deleted({"id": 1, field: "2024-01-01"})
    assert not any(is_deleted({"id": 1, field: empty}) for empty in (None, "", " "))


@pytest.mark.parametrize("field", FLAGS)
@pytest.mark.parametrize("value", [True, "true", "True", " TRUE", 1, Decimal(1), "1", "t"])
def test_a_flag_that_is_true_marks_a_row(field: str, value: Any) -> None:
    assert is_deleted({"id": 1, field: value})


@pytest.mark.parametrize("field", FLAGS)
@pytest.mark.parametrize("value", [None, False, "false", "", 0, "0", "2024-01-01", {}])
def test_a_flag_that_is_anything_else_marks_none(field: str, value: Any) -> None:
    assert not is_deleted({"id": 1, field: value})


@pytest.mark.parametrize("field", ["deleted", "Deleted", "is_deleted", "deleted_at", "_sdc_sequence", "_deleted_by"])
def test_other_columns_mark_no_row(field: str) -> None:
    assert not is_deleted({"id": 1, field: "true"})
