"""Face data as ROS messages: expression, landmarks, head pose, region; no state."""

from array import array

import numpy as np
from geometry_msgs.msg import Point32, PolygonStamped, PoseStamped
from sensor_msgs.msg import JointState

from kf_imitation.data_types import (
    BLENDSHAPES,
    CHANNELS,
    Expression,
    FaceRegion,
    HeadPose,
    Landmarks,
    Shapes,
)
from kf_imitation.nodes.conversions import header, to_ns

_PLACES = {name: place for place, name in enumerate((*CHANNELS, *BLENDSHAPES))}
LARGEST = 1e6  # of a channel: far above any, and far below what float32 holds


def to_expression(expression: Expression, frame_id: str) -> JointState:
    """Channels, then blendshapes, as a JointState: values in position, confidence in effort."""
    return JointState(
        header=header(expression.stamp_ns, frame_id),
        name=list(expression.names),
        position=array('d', expression.all_values),
        effort=array('d', expression.all_confidence),
    )


def expression_faults(message: JointState) -> str:
    """Return everything that is wrong with an expression, in one sentence; '' if it is good."""
    faults = [
        f'{name} is neither a channel nor a blendshape'
        for name in message.name
        if name not in _PLACES
    ]
    if len(message.position) != len(message.name):
        faults.append(f'{len(message.position)} values for {len(message.name)} channels')
    for name, value in zip(message.name, message.position, strict=False):
        if not abs(value) < LARGEST:  # nor is NaN
            faults.append(f'{name} = {value} must be a finite number')
    if not message.name:
        faults.append('it names no channel')
    return f'expression: {"; ".join(faults)}' if faults else ''


def from_expression(message: JointState) -> Expression:
    """Channels and blendshapes by name, in any order.

    What the sender leaves out rests with confidence 0; without any blendshape there are none.
    """
    values = np.zeros(len(_PLACES), np.float32)
    confidence = np.zeros(len(_PLACES), np.float32)
    with np.errstate(over='ignore'):  # to infinity, which counts as neutral
        for i, name in enumerate(message.name):
            if name in _PLACES and i < len(message.position):
                values[_PLACES[name]] = message.position[i]
                confidence[_PLACES[name]] = message.effort[i] if i < len(message.effort) else 1.0
    count = len(CHANNELS)
    named = any(name in BLENDSHAPES for name in message.name)
    shapes = Shapes(values[count:], confidence[count:]) if named else None
    return Expression(to_ns(message.header.stamp), values[:count], confidence[:count], shapes)


def to_landmarks(landmarks: Landmarks, frame_id: str) -> PolygonStamped:
    """98 points: x, y in pixels of the full image, z = confidence."""
    message = PolygonStamped(header=header(landmarks.stamp_ns, frame_id))
    message.polygon.points = [
        Point32(x=float(x), y=float(y), z=float(c))
        for (x, y), c in zip(landmarks.points_px, landmarks.confidence, strict=True)
    ]
    return message


def from_landmarks(message: PolygonStamped) -> Landmarks:
    """Inverse of to_landmarks."""
    points = np.array([(p.x, p.y, p.z) for p in message.polygon.points], np.float32)
    points = points.reshape(-1, 3)
    return Landmarks(to_ns(message.header.stamp), points[:, :2], points[:, 2])


def to_region(region: FaceRegion | None, stamp_ns: int, frame_id: str) -> PolygonStamped:
    """Corners of the face region in pixels, z = track id; no points: no face in this frame."""
    message = PolygonStamped(header=header(stamp_ns, frame_id))
    if region is not None:
        left, top = region.x, region.y
        right, bottom = left + region.size, top + region.size
        message.polygon.points = [
            Point32(x=float(x), y=float(y), z=float(region.track_id))
            for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))
        ]
    return message


def from_region(message: PolygonStamped) -> FaceRegion | None:
    """Inverse of to_region; what is no region is none."""
    points = message.polygon.points
    corners = [value for point in points[:2] for value in (point.x, point.y, point.z)]
    if len(points) < 2 or not np.isfinite(corners).all():
        return None
    return FaceRegion(points[0].x, points[0].y, points[1].x - points[0].x, int(points[0].z))


def to_pose(pose: HeadPose, frame_id: str) -> PoseStamped:
    """Head in the camera optical frame."""
    message = PoseStamped(header=header(pose.stamp_ns, frame_id))
    position, orientation = message.pose.position, message.pose.orientation
    position.x, position.y, position.z = (float(v) for v in pose.translation_m)
    orientation.x, orientation.y, orientation.z, orientation.w = pose.quaternion
    return message
