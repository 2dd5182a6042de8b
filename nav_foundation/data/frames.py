"""FrameFile: one data file of a dataset, mapped into memory, whose pictures are found without reading their neighbours.

A picture's bytes lie in the file as they are when its column is neither compressed nor encoded (as we write them): the
values of a row group are the last thing in its chunk, each behind its length. Foreign files with other encodings are
read row group by row group.
"""

from __future__ import annotations

import mmap
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nav_foundation.data.schema import DataError

_LENGTH = struct.Struct("<I")


class FrameFile:
    """Columns and pictures of one parquet file. Rows are counted from the file's first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._parquet = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
            with open(path, "rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{path} is broken: {' '.join(str(error).split())}") from None
        groups = [self._parquet.metadata.row_group(k).num_rows for k in range(self._parquet.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(groups)]).astype(np.int64)
        self._columns: dict[str, np.ndarray] = {}
        self._places: dict[str, np.ndarray | None] = {}
        self._group = lru_cache(maxsize=4)(self._read_group)

    @property
    def rows(self) -> int:
        return int(self._starts[-1])

    def column(self, name: str) -> np.ndarray:
        """[rows, ...] numbers."""
        if name not in self._columns:
            numbers = _numbers(self._read([name]).column(0), f"{self.path}: {name}")
            if len(numbers) != self.rows:
                raise DataError(f"{self.path} is broken: it has {len(numbers)} of {self.rows} rows of {name}")
            self._columns[name] = numbers
        return self._columns[name]

    def picture(self, name: str, row: int) -> bytes:
        """The file (JPEG, PNG) that a row holds."""
        if name not in self._places:
            self._places[name] = self._find(name)
        if not 0 <= row < self.rows:
            raise DataError(f"{self.path} is broken: it has no row {row}")
        places = self._places[name]
        if places is not None:
            start, length = places[row]
            return self._bytes[start : start + length]
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        value = self._group(name, group)[row - int(self._starts[group])].as_py()
        if value is None:
            raise DataError(f"{self.path}: row {row} of {name} holds no picture (perhaps the path of a file elsewhere)")
        return bytes(value)

    def _read(self, columns: list[str]) -> pa.Table:
        try:
            return self._parquet.read(columns=columns, use_threads=False)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{self.path} is broken: {' '.join(str(error).split())}") from None

    def _read_group(self, name: str, group: int) -> pa.Array:
        try:
            column = self._parquet.read_row_group(group, columns=[name], use_threads=False).column(0)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{self.path} is broken: {' '.join(str(error).split())}") from None
        if len(column) != self._starts[group + 1] - self._starts[group]:
            raise DataError(f"{self.path} is broken: its row group {group} has {len(column)} rows of {name}")
        return column.combine_chunks().field("bytes")

    def _find(self, name: str) -> np.ndarray | None:
        """[rows, 2] int64 first byte and length of every picture in the file; None where they are not to be found."""
        leaves = [self._parquet.schema.column(k).path for k in range(len(self._parquet.schema.names))]
        if f"{name}.bytes" not in leaves:
            raise DataError(f"{self.path} has no pictures called {name}")
        leaf = leaves.index(f"{name}.bytes")
        places = []
        for group in range(self._parquet.num_row_groups):
            chunk = self._parquet.metadata.row_group(group).column(leaf)
            values = self._read_group(name, group)
            if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page or values.null_count:
                return None
            found = _placed(values, chunk.data_page_offset + chunk.total_compressed_size)
            if not self._confirmed(found):
                return None
            places.append(found)
        return np.concatenate(places) if places else np.zeros((0, 2), np.int64)

    def _confirmed(self, places: np.ndarray) -> bool:
        """Whether before every picture its length is written; pages that are split put something else there."""
        first = int(places[0, 0]) - _LENGTH.size
        if first < 0 or int(places[-1].sum()) > len(self._bytes):
            return False
        return all(_LENGTH.unpack_from(self._bytes, start - 4)[0] == length for start, length in places.tolist())


def _placed(values: pa.Array, end: int) -> np.ndarray:
    """[N, 2] where values lie that end at byte `end` of the file, each behind its length of four bytes."""
    lengths = np.array([len(value.as_buffer()) for value in values], dtype=np.int64)
    ends = end - np.concatenate([np.cumsum((lengths + _LENGTH.size)[::-1])[::-1][1:], [0]])
    return np.column_stack([ends - lengths, lengths])


def _numbers(column: Any, name: str) -> np.ndarray:
    """A column of numbers, or of lists of them that are all of one shape."""
    array, shape = column.combine_chunks(), [len(column)]
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    while pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type) or pa.types.is_large_list(array.type):
        if len(array) == 0:
            return np.zeros(shape)
        lengths = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            raise DataError(f"{name} has lists of several lengths, or none in some rows")
        array = array.flatten()
        shape.append(lengths[0])
    kind = array.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise DataError(f"{name} holds no numbers but {kind}")
    return np.asarray(array.to_numpy(zero_copy_only=False)).reshape(shape)
