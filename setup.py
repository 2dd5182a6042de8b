"""The ROS 2 side: what `colcon build` installs beside the Python packages. All metadata is in pyproject.toml."""

from glob import glob

import setuptools

if int(setuptools.__version__.split(".")[0]) < 64:
    raise SystemExit(
        f"nav_foundation needs setuptools 64 to 79 to read its pyproject.toml, and this is {setuptools.__version__}: "
        "run `python3 -m pip install 'setuptools>=64,<80'` and build again."
    )

setuptools.setup(
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/nav_foundation"]),
        ("share/nav_foundation", ["package.xml"]),
        ("share/nav_foundation/launch", sorted(glob("launch/*.launch.py"))),
    ]
)
