"""How the tests are shared out among pytest's workers."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ALONE = ("test_ros_drive.py", "test_ros_faults.py", "test_ros_recorder.py")  # two graphs of nodes would be late


class RobotsTogether(LoadScopeScheduling):
    """Tests with nodes go to one worker, all others wherever one is free. (The group marks of xdist 3.8 say this
    too, but have no effect under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return "nodes" if str(nodeid).partition("::")[0].endswith(ALONE) else str(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> RobotsTogether:
    return RobotsTogether(config, log)
