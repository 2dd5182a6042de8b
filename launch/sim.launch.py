"""`ros2 launch nav_foundation sim.launch.py`: the same with a simulated robot, to be tried without hardware.

`--show-args` lists all arguments.
"""

from ros_nodes.launching import description


def generate_launch_description():
    return description(sim=True)
