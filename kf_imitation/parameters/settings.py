"""Every parameter of every node: name, default, meaning, unit, bounds.

The one place where a parameter is defined. From here come what the nodes declare and check, the
settings objects that the stages receive, config/kf_imitation.yaml and docs/parameters.md
(`python -m kf_imitation.parameters` writes both). CONTRIBUTING.md tells how to add one.
"""

# ruff: noqa: RUF009 (group() and parameter() return fields of dataclasses)

from collections.abc import Mapping
from dataclasses import dataclass

from kf_imitation.data_types import CHANNELS
from kf_imitation.parameters.definition import group, parameter
from kf_imitation.parameters.modes import MODES


@dataclass(frozen=True, slots=True)
class UprightSettings:
    """How images are turned once, where they come in, so that faces stand upright in them."""

    rotate: int = parameter(0, 'clockwise turn of every image: 0, 90, 180 or 270', 'deg', 0, 270)
    mirror: bool = parameter(
        False, 'swap left and right of every image, after the turn', live=True, panel='camera'
    )


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What is asked of a source of frames; 0 and '' leave the choice to it.

    Attributes:
        start_ns: stamp of the first frame of files and folders (bags keep their own stamps); not
            a parameter.
    """

    width: int = parameter(0, 'width requested from the camera; 0: its default', 'px', 0, 7680)
    height: int = parameter(0, 'height requested from the camera; 0: its default', 'px', 0, 4320)
    fps: float = parameter(
        0.0,
        'rate requested from the camera, or of a folder of images; 0: default (folders: 30)',
        'Hz',
        0,
        1000,
    )
    fourcc: str = parameter(
        '', 'pixel format requested from the camera, e.g. MJPG; empty: its default'
    )
    focal_px: float = parameter(
        0.0, 'focal length; 0 assumes a field of view of 60 degrees', 'px', 0, 1e5
    )
    reconnect_s: float = parameter(
        1.0, 'pause between attempts to reopen a lost device', 's', 0.05, 60
    )
    topic: str = parameter('', 'image topic of a bag source; empty takes the only one')
    upright: UprightSettings = group(UprightSettings, prefixed=False)
    start_ns: int = 0


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """The camera node."""

    source: str = parameter(
        '',
        'video file, camera (0, /dev/video0, /dev/v4l/by-id/…), folder of images, URL, bag, or '
        'test-pattern; topic:NAME takes the images of another camera node instead of starting '
        'ours; empty plays the demo clip',
        path='camera',
        live=True,
        panel='camera',
    )
    realtime: bool = parameter(
        True, 'pace files by their stamps; false: as fast as the nodes take them'
    )
    loop: bool = parameter(False, 'start a file again at its end')
    lossless: bool = parameter(
        False, 'wait for the keyframe node instead of dropping frames (files)'
    )
    max_in_flight: int = parameter(
        4, 'frames sent but not yet scored when lossless', minimum=1, maximum=100
    )
    wait_for: str = parameter(
        '', 'nodes, separated by spaces, that must listen before the first frame of a file'
    )
    frame_id: str = parameter('camera_optical_frame', 'frame of the image, z forward')
    preview_px: int = parameter(
        640, 'longest edge of the pictures on image_preview', 'px', 64, 1920, live=True
    )
    capture: SourceSettings = group(SourceSettings, prefixed=False)


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """How faces are found and followed."""

    policy: str = parameter(
        'sticky',
        'which face to follow: sticky starts with the largest and stays until it is lost; largest '
        'and centre (nearest the image centre) switch to a better one',
        one_of=('sticky', 'largest', 'centre'),
        live=True,
    )
    minimum_px: float = parameter(60.0, 'smallest face edge that counts', 'px', 20, 2000)
    search_interval_s: float = parameter(
        0.5,
        'time between searches of the whole frame while no face is known',
        's',
        0,
        10,
        live=True,
    )
    lost_s: float = parameter(
        0.7, 'time without confirmation after which a face is lost', 's', 0.1, 10, live=True
    )


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Which frames become keyframes; docs/keyframes.md defines the modes."""

    mode: str = parameter(
        'travel',
        'which frame is imitated (docs/keyframes.md)',
        one_of=MODES,
        live=True,
        panel='main',
    )
    prominence: float = parameter(
        0.1, 'minimum prominence of a score peak', '', 0, 1, live=True, panel='main'
    )
    threshold: float = parameter(
        0.0,
        'minimum score of a peak; 0 leaves it to the prominence',
        '',
        0,
        1,
        live=True,
        panel='main',
    )
    spacing_s: float = parameter(
        0.2, 'minimum time between keyframes, rounded to whole frames', 's', 0, 5, live=True
    )
    commit_delay_s: float = parameter(
        0.17,
        'latest commitment of a keyframe after it happened, smoothing included',
        's',
        0,
        2,
        live=True,
    )
    travel_threshold: float = parameter(
        0.6,
        'accumulated change between two keyframes of travel and combined (raw units of the score '
        'target)',
        '',
        0.01,
        100,
        live=True,
        formerly='travel_quantum',
        panel='main',
    )


# What `auto` means: the first model, or the second where the first is too slow.
AUTO_MODEL = 'auto'
ACCURATE_MODEL, QUICK_MODEL = 'keyframe_default', 'keyframe_lite'


def first_model(model: str) -> str:
    """Return the score model that the parameter `model` begins with, and a replay stays with."""
    return ACCURATE_MODEL if model == AUTO_MODEL else model


@dataclass(frozen=True, slots=True)
class KeyframeSettings:
    """The keyframe node."""

    model: str = parameter(
        AUTO_MODEL,
        f'name of the score model in models/manifest.yaml; {AUTO_MODEL}: {ACCURATE_MODEL}, or '
        f'{QUICK_MODEL} where this machine is too slow for it, by a measurement at start or while '
        f'it runs; in a replay and a lossless run always {ACCURATE_MODEL}',
    )
    threads: int = parameter(
        0,
        'threads of the model runtime; 0: one, more gain little',
        minimum=0,
        maximum=16,
    )
    lossless: bool = parameter(False, 'take every frame (reliable, queued) instead of the newest')
    topic: str = parameter(
        '', "image topic of another package's camera, raw or compressed; empty: image_raw"
    )
    # Of the images of `topic`; our camera node turns its own.
    upright: UprightSettings = group(UprightSettings, prefixed=False)
    most_latency_s: float = parameter(
        0.15,
        'oldest frame that is scored, since its capture; in a graph keyframes are bounded '
        'likewise, detector.commit_delay_s later; what a foreign camera always lags does not '
        'count; 0, or a lossless run: any age',
        's',
        0,
        5,
    )
    learn_neutral: bool = parameter(
        True,
        "learn how far a person's jaw is open at rest; a graph sets it from the landmarks node's",
    )
    face: FaceSettings = group(FaceSettings)
    detector: DetectorSettings = group(DetectorSettings)
    crop_px: int = parameter(
        256, 'largest edge of the keyframe crop that is published', 'px', 112, 1024
    )


@dataclass(frozen=True, slots=True)
class OneEuroSettings:
    """How much a One-Euro filter smooths."""

    cutoff_hz: float = parameter(
        0.0, 'cut-off at rest, lower is smoother; 0: no filter', 'Hz', 0, 30, live=True
    )
    speed_gain: float = parameter(
        4.0,
        'how much the cut-off rises with speed; higher lags less',
        '',
        0,
        100,
        live=True,
    )


@dataclass(frozen=True, slots=True)
class ExpressionSettings:
    """How landmarks become channels.

    `gain` is, channel by channel, the alpha of the paper's theta = alpha * mean |p_i - q_i|, on
    top of the person's calibration. Unit channels end at 1 all the same.
    """

    minimum_confidence: float = parameter(
        0.3, 'channels below hold their value, then relax to neutral', '', 0, 1, live=True
    )
    learn_neutral: bool = parameter(
        True,
        "learn the person's face at rest while it runs; false keeps what was learned so far, at "
        'the start that of most people; a replay learns only with --learn',
        live=True,
    )
    filter: OneEuroSettings = group(OneEuroSettings, 'One-Euro filter of the channels')
    gain: Mapping[str, float] = parameter(
        dict.fromkeys(CHANNELS, 1.0),
        'gain of the channel; 0 keeps it neutral',
        '',
        0,
        3,
        live=True,
        formerly='alpha',
        panel='gains',
    )


@dataclass(frozen=True, slots=True)
class LandmarksSettings:
    """The landmarks node."""

    model: str = parameter('landmarks_pfld', 'name of the landmark model in models/manifest.yaml')
    eyes: str = parameter(
        'landmarks_eyes',
        'name of the model that refines the eyes; empty: none',
    )
    parts: str = parameter(
        'landmarks_parts',
        'name of the model that predicts eyes and mouth from patches; empty: none',
    )
    threads: int = parameter(
        0,
        'threads of the model runtime; 0: one, more gain little',
        minimum=0,
        maximum=16,
    )
    most_latency_s: float = parameter(
        0.0,
        'oldest keyframe that is read, since its capture; 0: any; a graph sets it from the '
        "keyframe node's",
        's',
        0,
        10,
    )
    calibration: str = parameter(
        '', 'calibration file of the person; empty learns as it goes', path='path', live=True
    )
    humans: bool = parameter(
        True,
        'publish the person as other programs expect it: frames on /tf where tf2_msgs is '
        'installed, the topics of ROS4HRI (REP-155) where hri_msgs is',
    )
    person: str = parameter('me', 'whom landmarks/calibrate calibrates', live=True, panel='person')
    expression: ExpressionSettings = group(ExpressionSettings, prefixed=False)


@dataclass(frozen=True, slots=True)
class ServoSettings:
    """The servo node."""

    robot: str = parameter('sim_face', 'name in config/robots, or a file', path='name')
    port: str = parameter(
        '', "serial device, simulated, or none (publish only); empty takes the robot file's"
    )
    rate_hz: float = parameter(100.0, 'bus cycles', 'Hz', 10, 500)
    hold_s: float = parameter(
        1.0,
        'time without a new expression and a face after which the head relaxes to neutral',
        's',
        0.1,
        3600,
        live=True,
    )
    command_age_s: float = parameter(
        1.0,
        'how old an expression may be by its stamp, which is the time of capture, and a '
        'trajectory by the time when it was sent; what is older is rejected',
        's',
        0.05,
        3600,
        live=True,
    )
    emergency_stop_s: float = parameter(
        0.0,
        'longest silence of servo/emergency_stop after which the head stops; 0 does not listen',
        's',
        0,
        10,
    )
    trajectory_most_s: float = parameter(
        600.0,
        'how long a trajectory may last, and wait for its start; a longer one is rejected',
        's',
        1,
        3600,
        live=True,
    )
    pose_patience_s: float = parameter(
        0.15,
        'longest time that a moving joint holds back a pose which would turn it around; 0 lets '
        'every pose through at once',
        's',
        0,
        1,
        live=True,
    )
    most_latency_s: float = parameter(
        0.0,
        'oldest expression that is followed, since its capture; 0: any; a graph sets it from the '
        "keyframe node's",
        's',
        0,
        10,
    )
    reflex: bool = parameter(
        True,
        'the face (robot file: reflex) follows every frame instead of keyframes alone',
        live=True,
    )
    exit: str = parameter(
        '',
        'torque at the end; empty: as in the robot file',
        one_of=('', 'limp', 'hold', 'neutral_limp'),
    )
    autostart: bool = parameter(
        True, 'configure and activate at start; false waits for lifecycle calls'
    )


@dataclass(frozen=True, slots=True)
class PlayerSettings:
    """The player node."""

    bag: str = parameter('', 'bag folder or file to play', path='path')
    rate: float = parameter(1.0, 'bag seconds per second', '', 0.01, 100)
    loop: bool = parameter(False, 'start again at the end')
    start_offset_s: float = parameter(0.0, 'what to skip at the beginning', 's', 0, 1e6)
    delay_s: float = parameter(1.0, 'time for subscribers to connect', 's', 0, 60)
    topics: str = parameter('', 'topics to play, separated by spaces; empty: all')
    image: str = parameter('', 'topic that becomes image_raw, decoded; empty: none')
    clock_hz: float = parameter(0.0, 'rate of /clock; 0 publishes no time', 'Hz', 0, 1000)
    lossless: bool = parameter(False, 'wait for the keyframe node instead of losing frames')
    max_in_flight: int = parameter(
        4, 'frames sent but not yet scored when lossless', minimum=1, maximum=100
    )
    wait_for: str = parameter('', 'nodes, separated by spaces, that must listen before playing')


@dataclass(frozen=True, slots=True)
class AvatarSettings:
    """The avatar node."""

    robot: str = parameter('sim_face', 'name in config/robots, or a file', path='name')
    size_px: int = parameter(480, 'edge of the picture', 'px', 96, 1024)
    rate_hz: float = parameter(15.0, 'most pictures per second', 'Hz', 0.5, 60, live=True)
    page_port: int = parameter(
        8042,
        'port of the page with the face, for browsers of this machine; 0: no page',
        '',
        0,
        65535,
    )


@dataclass(frozen=True, slots=True)
class FoxgloveSettings:
    """The foxglove node."""

    robot: str = parameter('sim_face', 'name in config/robots, or a file', path='name')
    address: str = parameter(
        '127.0.0.1',
        'IP address to listen on; 127.0.0.1: this machine only. Any other opens it to a network: '
        'whoever reaches this machine can then see the camera',
    )
    port: int = parameter(8765, 'port, or the next free one; 0: any free one', '', 0, 65535)
    rate_hz: float = parameter(
        15.0, 'most pictures per second of each topic', 'Hz', 0.5, 60, live=True
    )


@dataclass(frozen=True, slots=True)
class CockpitSettings:
    """The cockpit node."""

    robot: str = parameter('sim_face', 'name in config/robots, or a file')
    address: str = parameter(
        '127.0.0.1',
        'IP address to listen on; 127.0.0.1: this machine only. Any other opens the cockpit to a '
        'network: whoever knows the printed address can then see the camera and move the head',
    )
    port: int = parameter(
        8043, 'port of the page, or the next free one; 0: any free one', '', 0, 65535
    )
    tls_certificate: str = parameter('', 'PEM file of a certificate for https; empty: http')
    tls_key: str = parameter('', 'PEM file of its key; empty: in the file of the certificate')
    controls: bool = parameter(
        True, 'the page may change something; false: it may only look on, and stop', live=True
    )
    rate_hz: float = parameter(
        30.0, 'most states and pictures per second for each watcher', 'Hz', 1, 60
    )
    picture_px: int = parameter(
        640,
        'longest edge of the camera pictures where they come from image_raw; those of our camera '
        'node have its preview_px',
        'px',
        64,
        1920,
        live=True,
    )
    folder: str = parameter(
        '', 'folder that takes the bags of cockpit/record; empty: ~/kf_imitation', path='path'
    )
    record_images: bool = parameter(
        False, 'cockpit/record takes images too (they show people)', live=True
    )


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """The recorder node."""

    directory: str = parameter('', 'bag folder to create; must not exist', path='path')
    topics: str = parameter(
        '', 'names or patterns (*) separated by spaces; empty: the results of every node'
    )
    images: bool = parameter(False, 'record images too (they show people)')
    minimum_free_mb: int = parameter(
        500, 'stop recording below this free disk', 'MB', 0, 1_000_000
    )
    maximum_mb: int = parameter(0, 'close the bag at this size; 0: no limit', 'MB', 0, 10_000_000)


NODES: dict[str, type] = {
    'camera': CameraSettings,
    'keyframe': KeyframeSettings,
    'landmarks': LandmarksSettings,
    'servo': ServoSettings,
    'player': PlayerSettings,
    'avatar': AvatarSettings,
    'foxglove': FoxgloveSettings,
    'cockpit': CockpitSettings,
    'recorder': RecorderSettings,
}
