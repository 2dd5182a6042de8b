"""How the tests are shared out among pytest's workers, and nodes in their process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ALONE = tuple(  # two graphs of nodes would be late
    f"test_ros_{what}.py" for what in ("asking", "controller", "drive", "faults", "goals", "joystick", "recorder")
)


LOOPBACK = {  # on this computer alone, and, as a robot's controller, with no memory that one who is killed could lock
    **{name: str(Path(__file__).with_name("fastdds_loopback.xml"))
       for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")},
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",  # as the file tells
}


def pytest_configure() -> None:
    """Fast DDS reads it once in a process; those that we start inherit it."""
    os.environ.update(LOOPBACK, RMW_IMPLEMENTATION="rmw_fastrtps_cpp")
    os.environ.pop("ROS_LOCALHOST_ONLY", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--habitat-python", default="", metavar="PATH",
                     help="the Python that has habitat_sim: the simulators' contract is tried with Habitat, too")


class RobotsTogether(LoadScopeScheduling):
    """Tests with nodes go to one worker, all others wherever one is free. (The group marks of xdist 3.8 say this
    too, but have no effect under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return "nodes" if str(nodeid).partition("::")[0].endswith(ALONE) else str(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> RobotsTogether:
    return RobotsTogether(config, log)


@pytest.fixture(scope="module")
def ros() -> Iterator[None]:
    """A domain of our own; processes that we start inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        rclpy = pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")
        patch.setenv("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
        rclpy.init()
        yield
        rclpy.shutdown()


@pytest.fixture
def started(ros: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Starts a node with parameters, which are declared as if they had been told by ROS arguments."""
    from rclpy.lifecycle import LifecycleNode
    from rclpy.parameter import Parameter

    nodes: list[Any] = []

    def start(kind: type[Any], **parameters: Any) -> Any:
        real = LifecycleNode.__init__

        def told(node: Any, name: str, **options: Any) -> None:
            overrides = [Parameter(key, value=value) for key, value in parameters.items()]
            real(node, name, parameter_overrides=overrides, **options)

        with monkeypatch.context() as patch:
            patch.setattr(LifecycleNode, "__init__", told)
            nodes.append(kind())
        return nodes[-1]

    yield start
    for node in nodes:
        node.close()
        node.destroy_node()
