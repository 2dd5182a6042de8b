"""The graph of nodes as a launch description, for the files in launch/."""

from __future__ import annotations

import dataclasses
import os
from difflib import get_close_matches
from typing import Any

from launch import LaunchContext, LaunchDescription  # type: ignore[attr-defined]
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.events.process import ProcessExited
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from ros_nodes.commands import check_parameters
from ros_nodes.graph import (
    REFUSED,
    SIMULATED,
    SUPERVISOR,
    RobotOptions,
    SimOptions,
    dds_environment,
    graph,
    options_of,
    parameter_files,
    processes,
    sim_environment,
    takes_pictures,
    yes_or_no,
)

_TO_WRITE = "60"  # s after Ctrl-C for what was recorded
_ALIKE = 0.8  # of words: other launch files have arguments of their own


def description(sim: bool) -> LaunchDescription:
    """Of a robot, or of a simulated one. Every option is a described argument."""
    fields = [f for kind in (RobotOptions, SimOptions)[: 1 + sim] for f in dataclasses.fields(kind)]
    usual = {f.name: SIMULATED.get(f.name, f.default) if sim else f.default for f in fields}
    arguments = [
        DeclareLaunchArgument(f.name, default_value=_text(usual[f.name]), description=f.metadata["about"])
        for f in fields
    ]
    arguments.append(DeclareLaunchArgument("rviz", default_value="false", description="Show it all in RViz."))
    start = OpaqueFunction(function=_nodes, args=[[f.name for f in fields], sim])
    return LaunchDescription([*arguments, start])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nodes(context: LaunchContext, names: list[str], sim: bool) -> list[Node]:
    robot, simulated = options_of({name: LaunchConfiguration(name).perform(context) for name in names}, sim)
    files = parameter_files(robot)
    check_parameters(robot, simulated is not None)
    environment = sim_environment(os.environ) if simulated is not None else {}
    for told in context.launch_configurations:  # `ros2 launch` takes any name, and says nothing
        if told not in names and (near := get_close_matches(told, names, 1, _ALIKE)):
            get_logger("launch").warning(f"{told}:= is not known, and changes nothing: did you mean {near[0]}:=?")
    shown = yes_or_no("rviz", LaunchConfiguration("rviz").perform(context))
    viewers = [_rviz(robot, simulated is not None, environment | dds_environment(os.environ))] if shown else []
    if "launch-prefix" not in context.launch_configurations:  # a debugger would be their parent
        environment |= {SUPERVISOR: str(os.getpid())}  # `ros2 launch` leaves them behind when it is killed
    return [
        Node(
            package="nav_foundation", executable="nav-foundation", exec_name=process.name.replace(" ", "-"),
            namespace=robot.namespace or None, arguments=["node", *process.name.split(" ")],
            parameters=[*files, _as_they_are(process.parameters)], remappings=list(process.remappings.items()),
            additional_env=environment | dds_environment(os.environ, takes_pictures(process, robot)), output="screen",
            respawn=True, respawn_delay=1.0, on_exit=_told_wrong,
            **({"sigterm_timeout": _TO_WRITE} if "recorder" in process.name else {}),
        )
        for process in processes(graph(robot, simulated), robot.composed)
    ] + viewers


def _as_they_are(parameters: dict[str, Any]) -> dict[str, Any]:
    """A text stays one: launch would read a dataset's name such as 2026-11-22 as a date."""
    return {k: ParameterValue(v, value_type=str) if isinstance(v, str) else v for k, v in parameters.items()}


def _rviz(robot: RobotOptions, simulated: bool, environment: dict[str, str]) -> Node:
    """RViz with the topics and the frame of this robot in the place of the usual ones."""
    usual = RobotOptions()
    pairs = [(usual.image, robot.image), (usual.scan, robot.scan), (usual.odom, robot.odom)]
    file = [FindPackageShare("nav_foundation"), "/launch/nav_foundation.rviz"]
    return Node(
        package="rviz2", executable="rviz2", namespace=robot.namespace or None,
        arguments=["-d", file, "-f", robot.base_frame], parameters=[{"use_sim_time": simulated}],
        remappings=[(name, topic) for name, topic in pairs if topic and topic != name],
        additional_env=environment, output="log",
    )


def _told_wrong(event: ProcessExited, context: LaunchContext) -> None:
    """One that cannot begin ends all, as in `nav-foundation robot`: it could not the next time either."""
    if event.returncode == REFUSED:
        raise ValueError(f"{event.process_name} cannot begin: what it said above tells why")
