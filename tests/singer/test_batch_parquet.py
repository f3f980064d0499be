"""Parquet files as rows: the values that the same rows would have in RECORD messages, and what cannot be read."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.errors import InputError
from target_kissmetrics.exact_json import decode
from target_kissmetrics.singer.batch_files import Storage, batch_rows

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
batch_parquet = pytest.importorskip("target_kissmetrics.singer.batch_parquet")


def written(table: Any, **how: Any) -> io.BytesIO:
    file = io.BytesIO()
    pq.write_table(table, file, **how)
    file.seek(0)
    return file


def values(kind: Any, *given: Any) -> list[Any]:
    rows = batch_parquet.parquet_rows(written(pa.table({"x": pa.array(given, kind)})))
    return [row["x"] for row in rows]


MOMENT = datetime(2024, 1, 31, 8, 0, 0, 250_000)  # noqa: DTZ001 - columns without a zone are meant
LATEST = 2**63 - 1
SOON = 7_200_000_000_000_000


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.int8(), -5, -5),
        (pa.uint64(), 2**64 - 1, 2**64 - 1),
        (pa.bool_(), True, True),
        (pa.string(), "é", "é"),
        (pa.large_string(), "é", "é"),
        (pa.float64(), 19.99, Decimal("19.99")),
        (pa.float64(), 5.0, Decimal("5.0")),
        (pa.float32(), 19.99, Decimal("19.99")),
        (pa.float32(), 0.1, Decimal("0.1")),
        (pa.float32(), 16777217.0, Decimal("16777216.0")),
        (pa.float32(), 3.4028234663852886e38, Decimal("3.4028235E+38")),
        (pa.float64(), float("nan"), None),
        (pa.float32(), float("nan"), None),
        (pa.float64(), float("inf"), float("inf")),
        (pa.decimal128(10, 2), Decimal("19.90"), Decimal("19.90")),
        (pa.decimal128(38, 0), Decimal("9" * 38), int("9" * 38)),
        (pa.decimal256(70, 30), Decimal("1." + "1" * 30), Decimal("1." + "1" * 30)),
        (pa.timestamp("us"), MOMENT, "2024-01-31T08:00:00.250000"),
        (pa.timestamp("ms", "UTC"), MOMENT, "2024-01-31T08:00:00.250000+00:00"),
        (pa.timestamp("ns", "Europe/Oslo"), 1_706_688_000_123_456_789, "2024-01-31T08:00:00.123456+00:00"),
        (pa.timestamp("s"), -1, "1969-12-31T23:59:59"),
        (pa.timestamp("us"), LATEST, f"<value out of range: {LATEST}>"),
        (pa.date32(), date(2024, 1, 31), "2024-01-31"),
        (pa.date32(), 2**31 - 1, f"<value out of range: {2**31 - 1}>"),
        (pa.date64(), date(1969, 12, 31), "1969-12-31"),
        (pa.time32("s"), time(8, 30), "08:30:00"),
        (pa.time64("ns"), SOON // 1000 + 1, "02:00:00"),
        (pa.duration("ms"), timedelta(days=1, seconds=1), "1 day, 0:00:01"),
        (pa.binary(), b"plan \xc3\xa9", "plan é"),
        (pa.binary(), b"\xff\x00", "/wA="),
        (pa.binary(2), b"ab", "ab"),
        (pa.list_(pa.float64()), [1.5, None], [Decimal("1.5"), None]),
        (pa.list_(pa.string(), 2), ["a", "b"], ["a", "b"]),
        (pa.list_(pa.struct([("at", pa.date32()), ("n", pa.int64())])), [{"at": date(2024, 1, 1), "n": 1}],
         [{"at": "2024-01-01", "n": 1}]),
        (pa.struct([("at", pa.timestamp("ns")), ("plan", pa.string())]), {"at": None, "plan": "Pro"},
         {"at": None, "plan": "Pro"}),
        (pa.map_(pa.string(), pa.date32()), [("a", date(2024, 1, 1)), ("b", None)], {"a": "2024-01-01", "b": None}),
        (pa.map_(pa.int64(), pa.string()), [(1, "x")], {"1": "x"}),
        (pa.dictionary(pa.int32(), pa.string()), "Pro", "Pro"),
        (pa.null(), None, None),
    ],
)  # fmt: skip
def test_typed_values_are_what_record_messages_hold(kind: Any, value: Any, expected: Any) -> None:
    if isinstance(kind, pa.FixedSizeListType) and int(pa.__version__.partition(".")[0]) < 26:
        pytest.skip("pyarrow cannot read a null list of a fixed size that it wrote itself")
    found, nothing = values(kind, value, None)
    assert (found, type(found)) == (expected, type(expected))
    assert nothing is None


def test_an_identifier_is_written_as_such() -> None:
    number = UUID("faa11948-863c-4de8-a75f-bf3e7c5ce744")
    storage = pa.array([number.bytes, None], pa.binary(16))
    file = written(pa.table({"x": pa.ExtensionArray.from_storage(pa.uuid(), storage)}))
    assert [row["x"] for row in batch_parquet.parquet_rows(file)] == [str(number), None]


def test_timestamps_of_spark_are_read() -> None:
    file = written(pa.table({"x": pa.array([MOMENT], pa.timestamp("us"))}), use_deprecated_int96_timestamps=True)
    assert [row["x"] for row in batch_parquet.parquet_rows(file)] == ["2024-01-31T08:00:00.250000"]


fields = st.fixed_dictionaries(
    {
        "n": st.integers(-(2**63), 2**63 - 1) | st.none(),
        "x": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
        "text": st.text() | st.none(),
        "flag": st.booleans() | st.none(),
        "at": st.datetimes(timezones=st.just(UTC)) | st.none(),
        "day": st.dates() | st.none(),
        "amount": st.decimals(-10_000, 10_000, places=2) | st.none(),
        "many": st.lists(st.integers(-9, 9), max_size=3),
        "one": st.fixed_dictionaries({"a": st.floats(-5, 5), "b": st.text(max_size=3)}),
    }
)
SCHEMA = pa.schema(
    {
        "n": pa.int64(), "x": pa.float64(), "text": pa.string(), "flag": pa.bool_(), "at": pa.timestamp("us", "UTC"),
        "day": pa.date32(), "amount": pa.decimal128(20, 2), "many": pa.list_(pa.int64()),
        "one": pa.struct([("a", pa.float64()), ("b", pa.string())]),
    }
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(fields, max_size=5))
def test_rows_are_those_that_the_sdk_would_have_written_as_messages(rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    messages = [decode(serialize_json(row)) for row in rows]
    assert list(batch_parquet.parquet_rows(written(table))) == messages


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_single_number_has_the_fewest_digits_that_give_it_back(value: float) -> None:
    (found,) = values(pa.float32(), value)
    assert pa.scalar(float(found), pa.float32()).as_py() == value
    assert len(found.normalize().as_tuple().digits) <= 9


def test_a_large_row_group_is_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    count = 60_000
    table = pa.table({"id": range(count), "text": [f"{number:0500d}" for number in range(count)]})
    pq.write_table(table, path, row_group_size=count, compression="gzip", use_dictionary=False)
    del table
    message = {"stream": "s", "encoding": {"format": "parquet"}, "manifest": [path.as_uri()]}
    before = pa.total_allocated_bytes()
    most = seen = 0
    for row in batch_rows(message, Storage()):
        seen += row["id"] is not None
        if seen % 1000 == 0:
            most = max(most, pa.total_allocated_bytes() - before)
    assert seen == count
    assert most < 16_000_000  # of 30


def test_large_rows_are_read_a_few_at_a_time() -> None:
    table = pa.table({"text": [chr(97 + n % 26) * 4_000_000 for n in range(30)]})
    file = written(table, compression="none", use_dictionary=False)
    with pq.ParquetFile(file) as parquet:
        assert batch_parquet._rows_at_once(parquet.metadata) <= 5
    file.seek(0)
    assert [len(row["text"]) for row in batch_parquet.parquet_rows(file)] == [4_000_000] * 30


def _broken() -> Iterator[tuple[bytes, str]]:
    whole = written(pa.table({"a": list(range(1000))}), compression="none", write_page_checksum=True).getvalue()
    yield b"", "cannot be read as parquet (ArrowInvalid); check that it is whole"
    yield b'{"a": 1}\n', "cannot be read as parquet (ArrowInvalid); check that it is whole"
    yield gzip.compress(whole), "cannot be read as parquet (ArrowInvalid); check that it is whole"
    yield whole[:-10], "cannot be read as parquet (ArrowInvalid); check that it is whole"
    yield whole[: len(whole) // 2], "cannot be read as parquet (ArrowInvalid); check that it is whole"
    yield whole[:4] + b"\xff" * 300 + whole[304:], "cannot be read as parquet (OSError); check that it is whole"
    double = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    yield written(double).getvalue(), "two columns have the same name; fix the tap"


@pytest.mark.parametrize("number", range(7))
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, number: int) -> None:
    data, problem = list(_broken())[number]
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    message = {"stream": "s", "encoding": {"format": "parquet"}, "manifest": [path.as_uri()]}
    with pytest.raises(InputError) as raised:
        list(batch_rows(message, Storage()))
    assert str(raised.value).startswith(f"stream 's': BATCH file {path}: {problem}")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_damage_ends_in_one_line_or_changes_nothing_but_values(data: st.DataObject) -> None:
    whole = bytearray(written(pa.table({"a": ["x", None, "y"], "b": [1.5, 2.5, None]})).getvalue())
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    with NamedTemporaryFile(suffix=".parquet") as file:
        file.write(whole)
        file.flush()
        message = {"stream": "s", "encoding": {"format": "parquet"}, "manifest": [file.name]}
        try:
            rows = list(batch_rows(message, Storage()))
        except InputError:
            return
    assert len(msgspec.json.encode(rows, enc_hook=str)) < 1000


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(written(pa.table({"a": [1]})).getvalue())
    monkeypatch.setitem(__import__("sys").modules, "target_kissmetrics.singer.batch_parquet", None)
    message = {"stream": "s", "encoding": {"format": "parquet"}, "manifest": [path.as_uri()]}
    with pytest.raises(InputError, match=r"needs a package: pip install 'target-kissmetrics\[parquet,s3\]'"):
        list(batch_rows(message, Storage()))
