"""Parquet files as rows, with the values that the same rows have in RECORD messages.

pyarrow converts; what JSON cannot hold becomes what the SDK's taps write: dates and times are ISO 8601 text, durations
the text of a `timedelta`, decimals and floats `Decimal`, whole decimals `int`, bytes text (base64 if they are not
UTF-8), maps objects, NaN null.
"""

import base64
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from math import isinf, isnan
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from target_kissmetrics.errors import InputError

ROWS_AT_ONCE, BYTES_AT_ONCE = 1024, 16 << 20  # bounds of what is in memory; row groups may be of any size


def parquet_rows(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Read the rows of a seekable file as they are consumed; one that is damaged raises pyarrow's own errors."""
    with pq.ParquetFile(
        file, buffer_size=1 << 20, coerce_int96_timestamp_unit="us", page_checksum_verification=True
    ) as parquet:
        names = parquet.schema_arrow.names
        if len(set(names)) < len(names):
            raise InputError("two columns have the same name; fix the tap")
        for group in parquet.iter_batches(batch_size=_rows_at_once(parquet.metadata), use_threads=False):
            columns = [_values(column) for column in group.columns]
            yield from (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def _rows_at_once(about: Any) -> int:
    size = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
    return max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE * max(1, int(about.num_rows)) // max(1, int(size))))


def _values(column: pa.Array) -> list[Any]:
    # A single-precision number goes through text, so that 19.99 does not become 19.989999771118164.
    for kind in [_readable(column.type, single) for single in (pa.string(), pa.float64())]:
        column = column.cast(kind, safe=False) if column.type != kind else column
    try:
        values = column.to_pylist()
    except (OverflowError, ValueError):
        values = [_scalar(value) for value in column]
    plain = types.is_string(column.type) or types.is_integer(column.type) or types.is_boolean(column.type)
    return values if plain else [_json_value(value) for value in values]


def _readable(kind: Any, single: pa.DataType) -> pa.DataType:  # noqa: PLR0911 - one a type
    """Return the nearest type whose values Python holds: microseconds, UTC, no dictionaries, `single` for float32."""
    if isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        return pa.list_(_readable(kind.value_type, single))
    if types.is_struct(kind):
        return pa.struct([(part.name, _readable(part.type, single)) for part in kind])
    if types.is_map(kind):
        return pa.map_(_readable(kind.key_type, single), _readable(kind.item_type, single))
    if types.is_dictionary(kind):
        return _readable(kind.value_type, single)
    if types.is_timestamp(kind):
        return pa.timestamp("us" if kind.unit == "ns" else kind.unit, "UTC" if kind.tz else None)
    if types.is_time(kind):
        return pa.time64("us")
    if types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    return single if types.is_float16(kind) or types.is_float32(kind) else kind


def _scalar(value: pa.Scalar) -> Any:
    """Convert a value; a moment beyond the years of Python, as a database's `infinity`, becomes pyarrow's text."""
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return str(value.cast(pa.string()))


def _json_value(value: Any) -> Any:  # noqa: C901, PLR0911 - one a type
    match value:
        case None | str() | int():
            return value
        case float():
            return None if isnan(value) else value if isinf(value) else Decimal(repr(value))
        case Decimal():
            return int(value) if value.as_tuple().exponent == 0 else value
        case date() | time():
            return value.isoformat()
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return base64.b64encode(value).decode()
        case dict():
            return {name: _json_value(one) for name, one in value.items()}
        case [tuple(), *_]:  # a map
            return {str(_json_value(name)): _json_value(one) for name, one in value}
        case list():
            return [_json_value(one) for one in value]
        case _:  # timedelta, UUID
            return str(value)
