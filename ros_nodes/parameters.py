"""A node's parameters as a frozen dataclass: typed, described, checked, and changeable where that is safe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from nav_foundation.config import closest, load_mapping

P = TypeVar("P")
_WORDS: dict[type, str] = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}


def parameter(default: Any, about: str, *, live: bool = False) -> Any:
    """A field of parameters; a `live` one may be set while the node runs."""
    return dataclasses.field(default=default, metadata={"about": about, "live": live})


def declare(node: Node, kind: type[P]) -> P:
    """Declare all fields of `kind` on the node. What it is started with is checked as the dataclass checks it."""
    assert dataclasses.is_dataclass(kind)
    values = {}
    for field in dataclasses.fields(kind):
        about = ParameterDescriptor(
            description=field.metadata["about"], read_only=not field.metadata["live"],
            dynamic_typing=isinstance(field.default, float),  # so that 10 is taken for 10.0
        )
        values[field.name] = node.declare_parameter(field.name, field.default, about).value
    return kind(**{name: _checked(kind, name, value) for name, value in values.items()})


def changed(parameters: P, changes: Sequence[Parameter]) -> tuple[P, SetParametersResult]:
    """The parameters with changes made, or as they were and the reason."""
    assert dataclasses.is_dataclass(parameters) and not isinstance(parameters, type)
    known = {field.name for field in dataclasses.fields(parameters)}
    try:
        values = {c.name: _checked(type(parameters), c.name, c.value) for c in changes if c.name in known}
        return dataclasses.replace(parameters, **values), SetParametersResult(successful=True)
    except ValueError as error:
        return parameters, SetParametersResult(successful=False, reason=str(error))


def check_file(path: Path, kinds: Mapping[str, Any]) -> None:
    """Raise ValueError for what a ROS parameter file says wrongly to nodes, of which each has its dataclass by name.

    ROS itself takes any name, and where two files say different things to a node, any type.
    """
    for section, told in load_mapping(path).items():
        node = str(section).rsplit("/", 1)[-1]
        if node not in kinds and node not in ("*", "**"):
            raise ValueError(f"params {path}: section {section!r} is of no node{closest(node, kinds)}")
        values = told.get("ros__parameters") if isinstance(told, dict) else None
        if not isinstance(values, dict):
            raise ValueError(f"params {path}: section {section!r} holds no ros__parameters: put what it says under one")
        try:
            _check_values([kinds[node]] if node in kinds else list(kinds.values()), values)
        except ValueError as error:
            raise ValueError(f"params {path}, {section}: {error}") from None


def _check_values(kinds: Sequence[Any], values: Mapping[str, Any]) -> None:
    fields = [{field.name for field in dataclasses.fields(kind)} for kind in kinds]
    known = {"use_sim_time"}.union(*fields)
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"parameter {name!r} is not known{closest(str(name), sorted(known))}")
        for kind, names in zip(kinds, fields):
            if name in names:
                _checked(kind, name, value)


def _checked(kind: Any, name: str, value: Any) -> Any:
    default = next(field.default for field in dataclasses.fields(kind) if field.name == name)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ValueError(f"parameter {name} is {value!r}: it takes {_WORDS[type(default)]}")
    return value
