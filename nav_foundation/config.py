"""Settings: one frozen dataclass, whether it comes from YAML, JSON or code. Unknown keys are refused."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_EXPONENT_ONLY = re.compile(r"[-+]?\d+[eE][-+]?\d+")  # 1e-4 is a number to people but, without a dot, a text to YAML


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def load_mapping(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file."""
    import yaml

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text, object_pairs_hook=_without_twins) if path.suffix == ".json" else _parse_yaml(text)
    except FileNotFoundError:
        raise ValueError(f"settings file {path} does not exist") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"settings file {path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ValueError(f"settings file {path} must hold 'key: value' pairs at its top")
    return data


def from_mapping(cls: type[T], data: dict[str, Any], where: str = "settings") -> T:
    """Build the dataclass `cls` from plain data, nested dataclasses and tuples included."""
    assert dataclasses.is_dataclass(cls)
    hints = _hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    for key in data:
        if key not in names:
            raise ValueError(f"{where}: unknown key {key!r}{closest(str(key), names)}")
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in data.items()}
    missing = [
        f.name for f in dataclasses.fields(cls)
        if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{where}: missing {', '.join(missing)}")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def to_mapping(settings: Any) -> dict[str, Any]:
    """The plain data of a dataclass: from_mapping(type(s), to_mapping(s)) == s."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    return typing.cast("dict[str, Any]", plain(dataclasses.asdict(settings)))


def closest(word: str, choices: typing.Iterable[str]) -> str:
    """' (did you mean ...?)', for the end of a sentence that refuses `word`."""
    options = list(choices)
    match = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    return f" (did you mean {match[0]!r}?)" if match else f" (known: {', '.join(options)})"


def _without_twins(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A mapping of pairs, in which no key may come twice: both parsers would silently keep the last one."""
    mapping: dict[Any, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise ValueError(f"key {key!r} is given twice")
        mapping[key] = value
    return mapping


def _parse_yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            mapping = super().construct_mapping(node, deep)  # refuses keys that cannot be keys
            _without_twins([(self.construct_object(key, deep=True), None) for key, _ in node.value])
            return mapping

    return yaml.load(text, Loader)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [a for a in arguments if a is not type(None)]
        if len(options) != 1:
            return value
        return _convert(options[0], value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise ValueError(f"{where} is {value!r}{closest(str(value), map(str, arguments))}")
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {value!r}: it takes 'key: value' pairs")
        return from_mapping(typing.cast(Any, hint), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{where} is {value!r}: it takes a list")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert(arguments[0], item, where) for item in value)
        if len(value) != len(arguments):
            raise ValueError(f"{where} has {len(value)} items: it takes {len(arguments)}")
        return tuple(_convert(a, item, where) for a, item in zip(arguments, value))
    if origin is dict:  # plain data, whatever it holds
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {value!r}: it takes 'key: value' pairs")
        return value
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, str) and _EXPONENT_ONLY.fullmatch(value):
        value = float(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not abs(value) <= sys.float_info.max:  # NaN, infinity, or a whole number that no float can hold
            raise ValueError(f"{where} is {value}: give a finite number")
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise ValueError(f"{where} is {value!r}: it takes {'a ' if hint in (float, str) else ''}{hint.__name__}")


def listed(text: str) -> tuple[Any, ...]:
    """The words between the commas of an option."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
