"""`ros2 launch nav_foundation robot.launch.py`: a robot's camera in, safe velocities out.

It begins in shadow mode: `drive:=true` lets it drive. `--show-args` lists all arguments.
"""

from ros_nodes.launching import description


def generate_launch_description():
    return description(sim=False)
