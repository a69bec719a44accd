"""What may be set: every parameter of every node, with type, default, unit, bounds and meaning.

config/kf_imitation.yaml says what is set; a test proves that both name the same keys. The nodes
declare their parameters from this table, the command line checks files against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kf_imitation.data_types import CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.parameters.yaml_text import read_yaml

Value = bool | int | float | str | list[str]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a node.

    Attributes:
        name: ROS name; a dot groups.
        default: also fixes the type.
        description: what it does, and what 0 or empty means where that is special.
        unit: '' for pure numbers and text.
        minimum: inclusive lower bound of numbers.
        maximum: inclusive upper bound of numbers.
        one_of: the allowed texts.
        live: may be changed while the node runs.
    """

    name: str
    default: Value
    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    one_of: tuple[str, ...] = ()
    live: bool = False

    def fault(self, value: object) -> str:
        """Return what is wrong with a value as one sentence, or '' when it is good."""
        wanted = type(self.default)
        number = wanted in (int, float)
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            return f'{self.name} = {value!r} must be {_TYPE_WORDS[wanted]}'
        if number and not self._in_bounds(float(value)):  # type: ignore[arg-type]
            return f'{self.name} = {value} must be {self.rule()}'
        if self.one_of and value not in self.one_of:
            return f'{self.name} = {value!r} must be one of {", ".join(self.one_of)}'
        if isinstance(value, list) and not all(type(item) is str for item in value):
            return f'{self.name} = {value!r} must be a list of texts'
        return ''

    def rule(self) -> str:
        """The bounds in words, for messages and the generated documentation."""
        unit = f' {self.unit}' if self.unit else ''
        if self.minimum is not None and self.maximum is not None:
            return f'from {self.minimum:g} to {self.maximum:g}{unit}'
        if self.minimum is not None:
            return f'{self.minimum:g}{unit} or more'
        if self.maximum is not None:
            return f'{self.maximum:g}{unit} or less'
        return f'any number{unit}'

    def _in_bounds(self, value: float) -> bool:
        low = -float('inf') if self.minimum is None else self.minimum
        high = float('inf') if self.maximum is None else self.maximum
        return low <= value <= high  # false for NaN


_TYPE_WORDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    list: 'a list of texts',
}

_THREADS = Parameter('threads', 2, 'threads of the model runtime', minimum=1, maximum=16)

SCHEMA: dict[str, tuple[Parameter, ...]] = {
    'camera': (
        Parameter(
            'source',
            '',
            'video file, camera (0, /dev/video0, /dev/v4l/by-id/…), folder of '
            'images, URL, bag, or test-pattern; empty plays the demo clip',
        ),
        Parameter(
            'realtime', True, 'pace files by their stamps; false: as fast as the graph takes them'
        ),
        Parameter('loop', False, 'start a file again at its end'),
        Parameter(
            'lossless', False, 'wait for the keyframe node instead of dropping frames (files)'
        ),
        Parameter(
            'max_in_flight',
            4,
            'frames sent but not yet scored when lossless',
            minimum=1,
            maximum=100,
        ),
        Parameter(
            'wait_for',
            '',
            'nodes, separated by spaces, that must listen before the first frame of a file',
        ),
        Parameter('width', 0, 'width asked of the camera; 0 leaves it', 'px', 0, 7680),
        Parameter('height', 0, 'height asked of the camera; 0 leaves it', 'px', 0, 4320),
        Parameter(
            'fps',
            0.0,
            'rate asked of the camera, or given to a folder of images; 0 leaves it (folders: 30)',
            'Hz',
            0,
            1000,
        ),
        Parameter('fourcc', '', 'pixel format asked of the camera, e.g. MJPG; empty leaves it'),
        Parameter('frame_id', 'camera_optical', 'frame of the image, z forward'),
        Parameter(
            'focal_px', 0.0, 'focal length; 0 assumes a field of view of 60 degrees', 'px', 0, 1e5
        ),
        Parameter(
            'reconnect_s', 1.0, 'pause between attempts to reopen a lost device', 's', 0.05, 60
        ),
        Parameter('topic', '', 'image topic of a bag source; empty takes the only one'),
    ),
    'keyframe': (
        Parameter('model', 'keyframe_default', 'name of the score model in models/manifest.yaml'),
        _THREADS,
        Parameter('lossless', False, 'take every frame (reliable, queued) instead of the newest'),
        Parameter(
            'face.policy',
            'sticky',
            'whom to follow',
            one_of=('sticky', 'largest', 'centre'),
            live=True,
        ),
        Parameter('face.minimum_px', 60.0, 'smallest face edge that counts', 'px', 20, 2000),
        Parameter(
            'face.search_interval_s',
            0.5,
            'time between searches of the whole frame while no face is known',
            's',
            0,
            10,
            live=True,
        ),
        Parameter(
            'face.lost_s',
            0.7,
            'time without confirmation after which a face is lost',
            's',
            0.1,
            10,
            live=True,
        ),
        Parameter(
            'detector.mode',
            'travel',
            'which frame is imitated (docs/keyframes.md)',
            one_of=('peak', 'settle', 'travel', 'combined'),
            live=True,
        ),
        Parameter(
            'detector.prominence', 0.1, 'minimum prominence of a score peak', '', 0, 1, live=True
        ),
        Parameter(
            'detector.threshold',
            0.0,
            'minimum score of a peak; 0 leaves it to the prominence',
            '',
            0,
            1,
            live=True,
        ),
        Parameter(
            'detector.spacing_s', 0.2, 'minimum time between keyframes', 's', 0, 5, live=True
        ),
        Parameter(
            'detector.commit_delay_s',
            0.17,
            'latest commitment of a keyframe after it happened',
            's',
            0,
            2,
            live=True,
        ),
        Parameter(
            'detector.travel_quantum',
            0.6,
            'accumulated change between two travel keyframes (raw units of the score target)',
            '',
            0.01,
            100,
            live=True,
        ),
        Parameter(
            'crop_px', 256, 'largest edge of the keyframe crop that is published', 'px', 112, 1024
        ),
    ),
    'landmarks': (
        Parameter('model', 'landmarks_pfld', 'name of the landmark model in models/manifest.yaml'),
        Parameter(
            'eyes',
            'landmarks_eyes',
            'name of the model that looks at the eyes again, larger; empty does without',
        ),
        Parameter(
            'parts',
            'landmarks_parts',
            'name of the model that reads eyes and mouth from patches; empty does without',
        ),
        _THREADS,
        Parameter(
            'calibration', '', 'calibration file of the person; empty calibrates automatically'
        ),
        Parameter(
            'minimum_confidence',
            0.3,
            'channels below hold their value, then relax to neutral',
            '',
            0,
            1,
            live=True,
        ),
        Parameter(
            'filter.cutoff_hz',
            0.0,
            'One-Euro filter of the channels: cut-off at rest, lower is stiller; 0 does without',
            'Hz',
            0,
            30,
            live=True,
        ),
        Parameter(
            'filter.speed_gain',
            4.0,
            'One-Euro filter: how much the cut-off rises with speed, higher lags less',
            '',
            0,
            100,
            live=True,
        ),
        *(
            Parameter(
                f'alpha.{channel}',
                1.0,
                f'gain on {channel}; 0 keeps it neutral',
                '',
                0,
                3,
                live=True,
            )
            for channel in CHANNELS
        ),
    ),
    'servo': (
        Parameter('robot', 'sim_face', 'name in config/robots, or a file'),
        Parameter(
            'port',
            '',
            "serial device, simulated, or none (publish only); empty takes the robot file's",
        ),
        Parameter('rate_hz', 100.0, 'bus cycles', 'Hz', 10, 500),
        Parameter(
            'hold_s',
            1.0,
            'time without a new expression and a face after which the head relaxes to neutral',
            's',
            0.1,
            3600,
            live=True,
        ),
        Parameter(
            'pose_patience_s',
            0.15,
            'longest that a joint on its way is kept from turning back, so that it reaches what '
            'it was sent to; 0 lets every pose through at once',
            's',
            0,
            1,
            live=True,
        ),
        Parameter(
            'exit',
            '',
            "what happens to torque at the end; empty takes the robot file's",
            one_of=('', 'limp', 'hold', 'neutral_limp'),
        ),
        Parameter(
            'autostart', True, 'configure and activate at start; false waits for lifecycle calls'
        ),
    ),
    'player': (
        Parameter('bag', '', 'bag folder or file to play'),
        Parameter('rate', 1.0, 'bag seconds per second', '', 0.01, 100),
        Parameter('loop', False, 'start again at the end'),
        Parameter('start_offset_s', 0.0, 'what is left out at the beginning', 's', 0, 1e6),
        Parameter('delay_s', 1.0, 'time for listeners to find the topics', 's', 0, 60),
        Parameter('topics', '', 'topics to play, separated by spaces; empty: all'),
        Parameter('image', '', 'topic that becomes image_raw, decoded; empty: none'),
        Parameter('clock_hz', 0.0, 'rate of /clock; 0 publishes no time', 'Hz', 0, 1000),
        Parameter('lossless', False, 'wait for the keyframe node instead of losing frames'),
        Parameter('max_in_flight', 4, 'frames sent but not yet scored when lossless', '', 1, 100),
        Parameter('wait_for', '', 'nodes, separated by spaces, that must listen before playing'),
    ),
    'avatar': (
        Parameter('robot', 'sim_face', 'name in config/robots, or a file'),
        Parameter('size_px', 480, 'edge of the picture', 'px', 96, 1024),
        Parameter('rate_hz', 15.0, 'most pictures per second', 'Hz', 0.5, 60, live=True),
        Parameter(
            'page_port',
            8042,
            'port of the page with the face, for browsers of this machine; 0: no page',
            '',
            0,
            65535,
        ),
    ),
    'recorder': (
        Parameter('directory', '', 'bag folder to make; must not exist'),
        Parameter(
            'topics',
            '',
            'names or patterns (*) separated by spaces; empty: the results of the graph',
        ),
        Parameter('images', False, 'record images too (they show people)'),
        Parameter('minimum_free_mb', 500, 'stop recording below this free disk', 'MB', 0, 1000000),
        Parameter('maximum_mb', 0, 'close the bag at this size; 0: no limit', 'MB', 0, 10_000_000),
    ),
}


def check(node: str, values: Mapping[str, object]) -> list[str]:
    """Return every fault of a node's values (unknown names included), one sentence each."""
    table = {parameter.name: parameter for parameter in SCHEMA[node]}
    faults = []
    for name, value in values.items():
        if name not in table:
            faults.append(f'{node}.{name} is not a parameter of this node')
        elif fault := table[name].fault(value):
            faults.append(f'{node}.{fault}')
    return faults


def load_file(path: Path) -> dict[str, dict[str, Any]]:
    """Read a ROS parameter file and check it against the schema.

    Args:
        path: YAML with `<node>: ros__parameters: …`; nested keys and dotted keys are the same.

    Returns:
        Values by node and dotted parameter name; nodes that the file leaves out are missing.

    Raises:
        ConfigError: with every fault of the file.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise ConfigError(str(path), ['must be a mapping of node names'])
    faults: list[str] = []
    result: dict[str, dict[str, Any]] = {}
    for key, section in document.items():
        node = str(key).rsplit('/', 1)[-1]
        if node not in SCHEMA:
            faults.append(f'{key} is not a node (nodes: {", ".join(SCHEMA)})')
        elif not isinstance(section, dict) or not isinstance(section.get('ros__parameters'), dict):
            faults.append(f'{key} must have a mapping ros__parameters')
        else:
            result[node] = _flatten(section['ros__parameters'])
            faults += check(node, result[node])
    if faults:
        raise ConfigError(str(path), faults)
    return result


def _flatten(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f'{prefix}{key}'
        if isinstance(value, dict):
            flat.update(_flatten(value, f'{name}.'))
        else:
            flat[name] = value
    return flat
