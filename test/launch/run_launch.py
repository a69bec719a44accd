"""Run a launch file with arguments name:=value, as `ros2 launch` does."""

import sys

from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

if __name__ == '__main__':
    file, *pairs = sys.argv[1:]
    arguments = [tuple(pair.split(':=', 1)) for pair in pairs]
    service = LaunchService()
    service.include_launch_description(
        LaunchDescription(
            [
                IncludeLaunchDescription(
                    PythonLaunchDescriptionSource(file), launch_arguments=arguments
                )
            ]
        )
    )
    sys.exit(service.run())
