#!/bin/bash
# Whatever is run in the container finds ROS, our package and its program.
set -e
. "/opt/ros/$ROS_DISTRO/setup.bash"
. /workspace/install/setup.bash
export PATH="/workspace/install/nav_foundation/lib/nav_foundation:$PATH"
exec "$@"
