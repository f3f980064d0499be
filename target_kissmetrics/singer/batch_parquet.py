"""Parquet files as rows, with the values that the same rows would have in RECORD messages.

There, JSON has no words for most of Parquet's types; so moments, dates and times become ISO 8601 text, durations the
text that the SDK writes, decimals and floats `Decimal` (as the reader of messages gives them), whole decimals numbers
without a fraction, bytes the text they hold (base64 where they hold none), maps objects, and NaN null, as the SDK's
taps write it.

A file is read some rows at a time, however large its row groups are.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from target_kissmetrics.errors import InputError

ROWS_AT_ONCE = 1024
BYTES_AT_ONCE = 16 << 20
"""Fewer rows are held where they are large, by what the file says of its size."""

_BUFFER_BYTES = 1 << 20
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a zone is put on where the column has one
_SECONDS_OF_DAY = 86_400

Convert = Callable[[Any], Any]
"""From what pyarrow gives for a value, which is not null, to what a RECORD message would hold."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How values of a type are read.

    Attributes:
        read_as: The type that a column is cast to, whose values Python can hold whatever they are.
        convert: From these values to those of rows; None when they are the same.
    """

    read_as: pa.DataType
    convert: Convert | None = None


def parquet_rows(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Give a file's rows.

    Args:
        file: It, open for reading from any place in it.

    Raises:
        InputError: It is none, or is damaged.
    """
    try:
        yield from _rows(file)
    except pa.ArrowInvalid:
        raise InputError("is no Parquet file, or was not written whole: mend the tap") from None
    except pa.ArrowException as problem:
        raise InputError(f"cannot be read as Parquet ({type(problem).__name__}): mend the tap") from None
    except UnicodeDecodeError:
        raise InputError("is damaged: a column's name is no text; mend the tap") from None
    except OSError as problem:
        if problem.errno is not None:
            raise
        raise InputError("is damaged, or was not written whole: mend the tap") from None


def _rows(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(
        file,
        buffer_size=_BUFFER_BYTES,
        pre_buffer=False,
        coerce_int96_timestamp_unit="us",
        page_checksum_verification=True,
    ) as parquet:
        schema = parquet.schema_arrow
        names = schema.names
        if len(set(names)) < len(names):
            raise InputError("has two columns of one name: mend the tap")
        ways = [_way(kind) for kind in schema.types]
        for group in parquet.iter_batches(batch_size=_rows_at_once(parquet.metadata), use_threads=False):
            columns = [_values(column, way) for column, way in zip(group.columns, ways, strict=True)]
            for values in zip(*columns, strict=True):
                yield dict(zip(names, values, strict=True))


def _rows_at_once(about: Any) -> int:
    size = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
    return max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE * max(1, int(about.num_rows)) // max(1, int(size))))


def _values(column: pa.Array, way: _Way) -> list[Any]:
    read = column.cast(way.read_as, safe=False) if column.type != way.read_as else column
    values: list[Any] = read.to_pylist()
    convert = way.convert
    return values if convert is None else [None if value is None else convert(value) for value in values]


def _way(kind: pa.DataType) -> _Way:
    for is_one, make in _WAYS:
        if is_one(kind):
            return make(kind)
    return _Way(kind)


# Types that hold others


def _of_list(kind: Any) -> _Way:
    item = _way(kind.value_type)
    convert = item.convert
    if convert is None:
        return _Way(pa.list_(item.read_as))
    return _Way(pa.list_(item.read_as), lambda values: [None if one is None else convert(one) for one in values])


def _of_struct(kind: Any) -> _Way:
    ways = {part.name: _way(part.type) for part in kind}
    converts = {name: way.convert for name, way in ways.items() if way.convert is not None}

    def convert(value: dict[str, Any]) -> dict[str, Any]:
        return {
            name: converts[name](one) if name in converts and one is not None else one for name, one in value.items()
        }

    return _Way(pa.struct([(name, way.read_as) for name, way in ways.items()]), convert if converts else None)


def _of_map(kind: Any) -> _Way:
    key, item = _way(kind.key_type), _way(kind.item_type)

    def convert(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        return {
            str(key.convert(name) if key.convert else name): item.convert(one)
            if item.convert and one is not None
            else one
            for name, one in pairs
        }

    return _Way(pa.map_(key.read_as, item.read_as), convert)


def _of_dictionary(kind: Any) -> _Way:
    return _way(kind.value_type)


def _of_extension(kind: Any) -> _Way:
    if kind.extension_name == "arrow.uuid":
        return _Way(kind.storage_type, lambda value: str(UUID(bytes=value)))
    return _way(kind.storage_type)


# Moments and lengths of time


def _of_timestamp(kind: Any) -> _Way:
    zone = None if kind.tz is None else timezone.utc
    per_second = _PER_SECOND[kind.unit]

    def convert(value: int) -> str:
        try:
            return (_EPOCH + _length(value, per_second)).replace(tzinfo=zone).isoformat()
        except OverflowError:
            return _no_moment(value)

    return _Way(pa.int64(), convert)


def _of_date(kind: Any) -> _Way:
    per_day = 1 if types.is_date32(kind) else _SECONDS_OF_DAY * 1000

    def convert(value: int) -> str:
        try:
            return (_EPOCH + timedelta(days=value // per_day)).date().isoformat()
        except OverflowError:
            return _no_moment(value)

    return _Way(pa.int32() if per_day == 1 else pa.int64(), convert)


def _no_moment(value: int) -> str:
    """Give a text that no reader takes for a time, as a number might be taken: a database's `infinity`, say."""
    return f"out of range: {value}"


def _of_time(_: Any) -> _Way:
    return _Way(pa.time64("us"), str)


def _of_duration(kind: Any) -> _Way:
    per_second = _PER_SECOND[kind.unit]

    def convert(value: int) -> str:
        try:
            return str(_length(value, per_second))
        except OverflowError:
            return _no_moment(value)

    return _Way(pa.int64(), convert)


def _length(value: int, per_second: int) -> timedelta:
    seconds, rest = divmod(value, per_second)
    return timedelta(seconds=seconds, microseconds=rest * 10**6 // per_second)


# Numbers and bytes


def _of_float(kind: Any) -> _Way:
    return _Way(kind, _double)


def _double(value: float) -> Decimal | float | None:
    if value != value:  # noqa: PLR0124 - NaN
        return None
    return Decimal(repr(value)) if abs(value) != float("inf") else value


def _of_single(_: Any) -> _Way:
    return _Way(pa.float32(), _single)


def _single(value: float) -> Decimal | float | None:
    """Give the number with the fewest digits that is this single one: 19.99, where Python sees 19.989999771118164."""
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        with suppress(OverflowError):  # rounded beyond what single numbers hold
            if struct.unpack("f", struct.pack("f", float(text)))[0] == value:
                return _double(float(text))
    return _double(float(f"{value:.9g}"))


def _of_decimal(kind: Any) -> _Way:
    return _Way(kind, int) if kind.scale == 0 else _Way(kind)


def _of_bytes(kind: Any) -> _Way:
    return _Way(kind, _text)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_single(kind: pa.DataType) -> bool:
    return bool(types.is_float32(kind) or types.is_float16(kind))


def _is_extension(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType)


_WAYS: tuple[tuple[Callable[[Any], bool], Callable[[Any], _Way]], ...] = (
    (_is_extension, _of_extension),
    (types.is_map, _of_map),
    (_is_list, _of_list),
    (types.is_struct, _of_struct),
    (types.is_dictionary, _of_dictionary),
    (types.is_timestamp, _of_timestamp),
    (types.is_date, _of_date),
    (types.is_time, _of_time),
    (types.is_duration, _of_duration),
    (types.is_decimal, _of_decimal),
    (_is_single, _of_single),
    (types.is_float64, _of_float),
    (_is_bytes, _of_bytes),
)
