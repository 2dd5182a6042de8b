"""A node's parameters as a frozen dataclass: typed, described, checked, and changeable where that is safe."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

P = TypeVar("P")


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


def _checked(kind: Any, name: str, value: Any) -> Any:
    default = next(field.default for field in dataclasses.fields(kind) if field.name == name)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ValueError(f"parameter {name} is {value!r}: it takes a {type(default).__name__}")
    return value
