"""Qualities of service, in one place: who may lose what.

Every publisher is reliable, so that any subscriber matches (REP-2003). A live image is taken best
effort, newest only: an old frame is worth nothing. Where no frame may be lost (a file), the image
is taken reliable and queued. The results per frame stay available to a recorder that comes a
moment late.
"""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

# Deeper than max_in_flight can be; the camera node never has more frames under way.
_LOSSLESS_DEPTH = 128
_RECORD_DEPTH = 4096


def _profile(
    depth: int,
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=durability,
    )


def frame_publisher(lossless: bool) -> QoSProfile:
    """image_raw and camera_info of the camera node."""
    return _profile(_LOSSLESS_DEPTH if lossless else 2)


def frame_subscription(lossless: bool) -> QoSProfile:
    """image_raw and camera_info where every frame counts, or only the newest."""
    if lossless:
        return _profile(_LOSSLESS_DEPTH)
    return _profile(1, ReliabilityPolicy.BEST_EFFORT)


def foreign_frames(reliable: bool) -> QoSProfile:
    """Images of another package's camera: the newest; two, since the scoring of one may last.

    Args:
        reliable: every publisher offers it.
    """
    asked = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return _profile(2, asked)


def per_frame_publisher() -> QoSProfile:
    """Small results of every frame: score, explanation, face region."""
    return _profile(_LOSSLESS_DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def per_frame_subscription() -> QoSProfile:
    """Small results of every frame, all of them, from now on."""
    return _profile(_LOSSLESS_DEPTH)


def keyframe_topics() -> QoSProfile:
    """Keyframe images, landmarks, expressions: few, and none may be lost."""
    return _profile(16)


def joint_topics() -> QoSProfile:
    """joint_states and servo/joint_commands, at the hardware rate."""
    return _profile(50)


def latched() -> QoSProfile:
    """What holds until the next message, also for whoever comes later."""
    return _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def newest() -> QoSProfile:
    """A topic whose last message alone matters to whoever looks on."""
    return _profile(1, ReliabilityPolicy.BEST_EFFORT)


def record(transient_local: bool) -> QoSProfile:
    """Everything a recorder takes.

    Args:
        transient_local: also ask for what was sent before the match (a publisher offers it).
    """
    durability = DurabilityPolicy.TRANSIENT_LOCAL if transient_local else DurabilityPolicy.VOLATILE
    return _profile(_RECORD_DEPTH, durability=durability)


def play(transient_local: bool) -> QoSProfile:
    """A topic of a bag: any subscriber matches.

    Args:
        transient_local: late listeners get the last message, as when it was recorded.
    """
    durability = DurabilityPolicy.TRANSIENT_LOCAL if transient_local else DurabilityPolicy.VOLATILE
    return _profile(_LOSSLESS_DEPTH, durability=durability)


def record_as(reliable: bool, transient_local: bool, is_image: bool) -> QoSProfile:
    """What a recorder asks of publishers that it found, so that all of them match."""
    return _profile(
        _LOSSLESS_DEPTH if is_image else _RECORD_DEPTH,
        ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        DurabilityPolicy.TRANSIENT_LOCAL if transient_local else DurabilityPolicy.VOLATILE,
    )


def record_frames() -> QoSProfile:
    """Images for a recorder: queued, but not by the thousand."""
    return _profile(_LOSSLESS_DEPTH)
