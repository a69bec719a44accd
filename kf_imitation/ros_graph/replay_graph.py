"""The node graph that replays a bag: what launch/replay.launch.py starts, on the bag's own time.

A bag with images goes through every stage again. One without (what is recorded unless images are
asked for) moves the head by the expressions that were recorded. Pure Python, as nodes.py.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kf_imitation.bags.opening import (
    IMAGES,
    PACKED_IMAGES,
    OpenBag,
    image_topic,
    open_bag,
)
from kf_imitation.bags.playback import BagPlay
from kf_imitation.errors import BagError, ConfigError
from kf_imitation.output_files import check_free
from kf_imitation.paths import user_path
from kf_imitation.ros_graph.environment import check_namespace
from kf_imitation.ros_graph.nodes import RECORDED, Graph, NodeSpec, RunOptions, merged_parameters

CLOCK_HZ = 100.0
PLAYERS = ('ours', 'ros2bag')
# Published by the nodes that run again.
_ANEW = ('servo/joint_commands', 'joint_states', '/diagnostics')
# Until the models are loaded; `ros2 bag play` cannot be told to wait for listeners.
_ROS2BAG_DELAY_S = 8


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What a user asks of a replay; '' leaves the choice to the bag or the parameter files.

    Attributes:
        bag: folder or file.
        robot: name in config/robots, or a file.
        port: serial device, `simulated` or `none`.
        rate: bag seconds per second.
        loop: start again at the end.
        start_offset: what is left out at the beginning [s].
        topic: of the images; '' takes the only one.
        player: one of PLAYERS.
        record: bag folder to make.
        record_images: images go into the bag too.
        params: file whose values override those of config/kf_imitation.yaml.
        namespace: of all nodes and relative topics.
    """

    bag: str
    robot: str = ''
    port: str = ''
    rate: float = 1.0
    loop: bool = False
    start_offset: float = 0.0
    topic: str = ''
    player: str = 'ours'
    record: str = ''
    record_images: bool = False
    params: str = ''
    namespace: str = ''


@dataclass(frozen=True, slots=True)
class _Plan:
    """What of the bag is played.

    Attributes:
        image: topic that becomes image_raw; '' moves the head by recorded expressions.
        compressed: the images are.
        names: topics to play, and under which (relative) names.
    """

    image: str
    compressed: bool
    names: dict[str, str]


def build_replay_graph(options: ReplayOptions) -> tuple[Graph, list[str]]:
    """Work out nodes and parameters of a replay.

    Args:
        options: of the user.

    Returns:
        The graph, and the command that plays the bag where that is not one of its nodes.

    Raises:
        BagError: the bag cannot be read, or has nothing that moves a head.
        ConfigError: an option or a parameter file is faulty.
        OutputError: the record folder exists or cannot be made.
    """
    if not options.bag:
        raise ConfigError('replay', ["bag = '' must name a bag"])
    if options.player not in PLAYERS:
        raise ConfigError(
            'replay', [f'player = {options.player!r} must be one of {", ".join(PLAYERS)}']
        )
    check_namespace(options.namespace)
    values = merged_parameters(options.params, options.namespace)
    servo, recorder = values['servo'], values['recorder']
    servo['robot'] = options.robot or servo['robot']
    servo['port'] = options.port or servo['port']
    recorder['directory'] = options.record or recorder['directory']
    recorder['images'] = options.record_images or recorder['images']
    with open_bag(user_path(options.bag)) as bag:
        plan = _plan(options, bag)
        BagPlay(bag, plan.names, options.start_offset)  # checks them
    names = ['keyframe', 'landmarks', 'servo'] if plan.image else ['servo']
    if recorder['directory']:
        check_free(user_path(recorder['directory']))
        names.append('recorder')
    ours = options.player == 'ours'
    values['keyframe']['lossless'] = ours
    specs = [NodeSpec(name, values[name]) for name in names]
    if ours:
        # Only these can be waited for: the input of each is what the others or the bag send.
        specs.append(_player(options, plan, values['player'], names))
    graph = Graph(
        tuple(specs), options.namespace.strip('/'), ours and bool(plan.image), RunOptions()
    )
    return graph, [] if ours else _ros2_bag(options, plan)


def _plan(options: ReplayOptions, bag: OpenBag) -> _Plan:
    kinds = {name: topic.kind for name, topic in bag.topics.items() if topic.count}
    if options.topic or any(kind in IMAGES for kind in kinds.values()):
        image = image_topic(bag, options.topic)
        names = {image: 'image_raw'}
        info = str(Path(image).parent / 'camera_info')
        if options.player == 'ros2bag' and info in kinds:
            names[info] = 'camera_info'
        return _Plan(image, kinds.get(image) in PACKED_IMAGES, names)
    expression = [topic for topic in kinds if topic.endswith('/face/expression')]
    if not expression:
        raise BagError(
            f'bag {bag.path}: holds neither images nor face/expression (holds {bag.held})'
        )
    start = expression[0].removesuffix('face/expression')
    played = [topic for topic in RECORDED if topic not in _ANEW and f'{start}{topic}' in kinds]
    return _Plan('', False, {f'{start}{topic}': topic for topic in played})


def _player(
    options: ReplayOptions, plan: _Plan, values: dict[str, Any], names: list[str]
) -> NodeSpec:
    values.update(
        bag=options.bag,
        rate=options.rate,
        loop=options.loop,
        start_offset_s=options.start_offset,
        topics=' '.join(plan.names),
        image=plan.image,
        clock_hz=CLOCK_HZ,
        lossless=bool(plan.image),
        wait_for=' '.join(names),
    )
    return NodeSpec('player', values, tuple(pair for pair in plan.names.items() if not plan.image))


def _ros2_bag(options: ReplayOptions, plan: _Plan) -> list[str]:
    if plan.image and (plan.compressed or 'camera_info' not in plan.names.values()):
        raise ConfigError(
            'replay',
            [
                f'player = ros2bag plays raw images with a camera_info next to them, {plan.image} '
                f'is not such a topic; player = ours decodes it'
            ],
        )
    start = f'/{options.namespace.strip("/")}/' if options.namespace.strip('/') else '/'
    command = ['ros2', 'bag', 'play', options.bag, '--clock', f'{CLOCK_HZ:g}']
    command += ['--rate', f'{options.rate:g}', '--start-offset', f'{options.start_offset:g}']
    command += ['--delay', str(_ROS2BAG_DELAY_S)]
    command += ['--loop'] if options.loop else []
    command += ['--topics', *plan.names]
    return [*command, '--remap', *(f'{a}:={start}{b}' for a, b in plan.names.items())]
