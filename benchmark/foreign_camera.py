"""How many frames of another package's camera are scored: 30 fps, 640 x 480, own process.

    python -m benchmark.foreign_camera [--packed] [--best-effort] [--our-profile] [--seconds S]
    python -m benchmark.foreign_camera --all

The camera is a plain rclpy program with the middleware's own settings, like usb_cam, or with ours
(config/fastdds.xml). `mimic` takes its topic. Prints frames sent, received and scored; run it on
an idle machine.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

TOPIC = '/camera/image_raw'
CAMERA = """
import sys, time
import cv2, numpy as np, rclpy
from array import array
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
topic, packed, reliable, seconds, clip = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
rclpy.init()
node = rclpy.create_node('usb_cam')
profile = QoSProfile(depth=5, reliability=ReliabilityPolicy(1 if reliable else 2))
publisher = node.create_publisher(CompressedImage if packed else Image, topic, profile)
capture, frames = cv2.VideoCapture(clip), []
while (read := capture.read())[0]:
    image = cv2.resize(read[1], (640, 480))
    frames.append(cv2.imencode('.jpg', image)[1].tobytes() if packed else image.tobytes())
while not publisher.get_subscription_count():
    time.sleep(0.1)
time.sleep(1.0)
start, sent = time.monotonic(), 0
while sent < 30 * seconds:
    time.sleep(max(0.0, start + sent / 30 - time.monotonic()))
    data = array('B', frames[sent % len(frames)])
    if packed:
        message = CompressedImage(format='jpeg', data=data)
    else:
        message = Image(height=480, width=640, encoding='bgr8', step=1920, data=data)
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    sent += 1
print(sent, flush=True)
time.sleep(1.0)
"""


def main() -> None:
    """Run camera and head in each way that was asked for, print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--packed', action='store_true', help='JPEG instead of raw')
    parser.add_argument('--best-effort', action='store_true', help='as sensor data')
    parser.add_argument('--our-profile', action='store_true', help='camera with our transports')
    parser.add_argument('--all', action='store_true', help='all of these')
    parser.add_argument('--seconds', type=int, default=12)
    parser.add_argument('--model', default='auto', help='score model')
    args = parser.parse_args()
    one = (args.packed, args.best_effort, args.our_profile)
    for packed, best_effort, ours in product((False, True), repeat=3) if args.all else [one]:
        sent, received, scored = measure(packed, best_effort, ours, args.seconds, args.model)
        way = f'{"packed" if packed else "raw"}, {"best effort" if best_effort else "reliable"}'
        way += ', our profile' if ours else ''
        shares = f'{sent} sent, {received} received, {scored} scored: {scored / sent:.1%}'
        print(f'{way}: {shares}', flush=True)


def measure(
    packed: bool, best_effort: bool, ours: bool, seconds: int, model: str
) -> tuple[int, int, int]:
    """Return how many frames were sent, received and scored."""
    topic = f'{TOPIC}/compressed' if packed else TOPIC
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    profile = {'FASTDDS_DEFAULT_PROFILES_FILE': str(root / 'config/fastdds.xml')} if ours else {}
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder, 'params.yaml')
        params.write_text(f'/**/keyframe: {{ros__parameters: {{model: {model}}}}}\n')
        head = subprocess.Popen(
            [
                *(sys.executable, '-m', 'kf_imitation.cli.main', 'mimic', '--no-cockpit'),
                *('--source', f'topic:{topic}', '--port', 'simulated', '--params', str(params)),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        words = [str(int(word)) for word in (packed, not best_effort, seconds)]
        camera = subprocess.run(
            [sys.executable, '-c', CAMERA, topic, *words, str(root / 'media/demo.mp4')],
            env={**environment, **profile},
            capture_output=True,
            text=True,
        )
        time.sleep(1.0)
        head.send_signal(signal.SIGINT)
        table, _ = head.communicate(timeout=60)
    if camera.returncode or head.returncode:
        sys.exit(camera.stderr + table)
    received, scored = (int(n) for n in re.findall(r'(?:frames in|scored)\W+(\d+)', table)[:2])
    return int(camera.stdout), received, scored


if __name__ == '__main__':
    main()
