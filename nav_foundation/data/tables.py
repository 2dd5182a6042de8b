"""Parquet tables of a dataset: frames, tasks and episodes, with the types that LeRobot gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nav_foundation.data.layout import Feature
from nav_foundation.data.schema import DataError

ROWS = 100  # frames of a row group at most
_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def frame_schema(features: Mapping[str, Feature]) -> pa.Schema:
    """Columns of a data file. Videos have none."""
    return pa.schema([(name, _type(feature)) for name, feature in features.items() if feature["dtype"] != "video"])


def frame_table(features: Mapping[str, Feature], columns: Mapping[str, Any]) -> pa.Table:
    """The frames of an episode: arrays [T, ...], and lists of files for pictures."""
    schema = frame_schema(features)
    return pa.table([_column(columns[field.name], field.type) for field in schema], schema=schema)


def write_frames(path: Path, schema: pa.Schema, episodes: Sequence[pa.Table]) -> None:
    """Row groups never cross episodes. Pictures lie in the file as they are, so that a reader can point at them.

    `schema` is `frame_schema`'s: in tables read again, lists name their elements otherwise.
    """
    leaves = {leaf: "NONE" if leaf.endswith(".bytes") else "SNAPPY" for leaf in _leaves(schema)}
    plain = [leaf for leaf in leaves if not leaf.endswith(".bytes")]
    with pq.ParquetWriter(
        path, schema, compression=leaves, use_dictionary=False, write_statistics=plain, data_page_size=1 << 30,
        write_page_checksum=True,
    ) as writer:
        for episode in episodes:
            writer.write_table(episode, row_group_size=ROWS)


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """Task texts are the index of a table with `task_index`, which pandas has to be told."""
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    column = {"metadata": None, "numpy_type": "int64", "pandas_type": "int64"}
    text = {"metadata": None, "numpy_type": "object", "pandas_type": "unicode"}
    pandas = {
        "index_columns": ["task"], "column_indexes": [],
        "columns": [{"name": "task_index", "field_name": "task_index", **column},
                    {"name": "task", "field_name": "task", **text}],
        "creator": {"library": "pyarrow", "version": pa.__version__}, "pandas_version": "2.0.0",
    }
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path, write_page_checksum=True)


def read_tasks(path: Path) -> list[str]:
    """Texts by task index, whatever the column of the text is called."""
    try:
        table = pq.read_table(path, page_checksum_verification=True).to_pydict()
        numbers = table["task_index"]
        texts = next(values for name, values in table.items() if name != "task_index")
    except (OSError, ValueError, KeyError, StopIteration, pa.ArrowException) as error:
        raise DataError(f"{path} is broken: {' '.join(str(error).split())}") from None
    return [text for _, text in sorted(zip(numbers, texts))]


def _leaves(schema: pa.Schema) -> list[str]:
    """Names of the columns as parquet has them, such as action.list.element."""
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, schema).close()
    described = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return [described.column(k).path for k in range(len(described.names))]


def _type(feature: Feature) -> pa.DataType:
    if feature["dtype"] == "image":
        return _PICTURE
    kind, shape = pa.type_for_alias(feature["dtype"]), feature["shape"]
    if shape == [1]:
        return kind
    if len(shape) == 1:
        return pa.list_(kind, shape[0])
    for _ in shape:
        kind = pa.list_(kind)
    return kind


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    if kind == _PICTURE:
        files = pa.array(values, pa.binary())
        return pa.StructArray.from_arrays([files, pa.nulls(len(files), pa.string())], fields=list(kind))
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), kind.list_size)
    if pa.types.is_list(kind):
        return pa.array(np.asarray(values).tolist(), kind)
    return pa.array(np.asarray(values), kind)
