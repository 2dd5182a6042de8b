"""The ROS 2 side: what `colcon build` installs beside the Python packages. All metadata is in pyproject.toml."""

from __future__ import annotations

from glob import glob
from typing import Any

import setuptools

if int(setuptools.__version__.split(".")[0]) < 64:
    raise SystemExit(
        f"nav_foundation needs setuptools 64 to 76 to read its pyproject.toml, and this is {setuptools.__version__}: "
        "run `python3 -m pip install 'setuptools>=64,<77'` and build again."
    )


class Distribution(setuptools.Distribution):
    """colcon reads a dry run of this file as a Python literal, which the parsed `requires-python` is not."""

    def parse_config_files(self, *arguments: Any, **keywords: Any) -> None:
        super().parse_config_files(*arguments, **keywords)
        self.python_requires = self.metadata.python_requires = str(self.python_requires)


setuptools.setup(
    distclass=Distribution,
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/nav_foundation"]),
        # `colcon build --symlink-install` sees only the files listed here, and must see the metadata.
        ("share/nav_foundation", ["package.xml", "pyproject.toml", "README.md"]),
        (
            "share/nav_foundation/launch",
            sorted([*glob("launch/*.launch.py"), "launch/nav_foundation.rviz", "launch/foxglove.json"]),
        ),
    ],
)
