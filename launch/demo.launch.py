"""`ros2 launch nav_foundation demo.launch.py`: the demo, started the ROS way."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage


def generate_launch_description() -> LaunchDescription:
    program = ExecutableInPackage(executable="nav-foundation", package="nav_foundation")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "out",
                default_value="runs/demo",
                description="Folder for the report, the video and the pictures, relative to where you launch.",
            ),
            ExecuteProcess(cmd=[program, "demo", "--out", LaunchConfiguration("out")], output="screen"),
        ]
    )
