"""The reference of topics and services, docs/topics.md.

`python -m benchmark.topics` writes it; a test compares. Types and qualities are those of the calls
that make publishers, subscriptions and services in `kf_imitation/nodes/`; who sends and who
listens is what `config/sros2_policy.xml` allows, which a test compares with a running graph.
"""

import ast
import inspect
import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from kf_imitation.nodes import qos
from kf_imitation.nodes.servo_services import SERVICES
from kf_imitation.paths import share_path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs/topics.md'
NODES = ROOT / 'kf_imitation/nodes'
HEAD = """# Topics and services

Made by `python -m benchmark.topics`. Names that begin without a slash follow the namespace of the
nodes. `recorder` and `foxglove` can listen to every topic, `player` sends again what a bag
holds: the columns leave the three out. *You*: another package's node, or a person with a tool.
The quality is what a sender offers, with the number of messages that it keeps for slow
listeners, the larger number where no frame of a file may be lost; *kept*: late listeners get them
too (transient local). There are no actions: a scripted motion is `servo/joint_trajectory`, and
`servo/authority` tells what became of it.

## Topics

| topic | type | from | to | quality | meaning |
|---|---|---|---|---|---|
"""
BETWEEN = """
Every node also sends `/rosout` and `/parameter_events`, the servo node `servo/transition_event`.

## Services

Those of the servo node answer once the servos have confirmed; going to neutral is answered at its
beginning ([the servo node](servo_node.md)). Every node also has ROS's own services for its
parameters, the servo node those of a lifecycle node.

| service | type | meaning |
|---|---|---|
"""
MEANING = {
    'image_raw': 'every frame, stamped at capture',
    'camera_info': 'of every frame: size and lens',
    'image_preview': (
        'frames as small JPEG files for a page, up to 30 a second, while somebody subscribes'
    ),
    'keyframe/score': 'how much the expression changes in a frame, 0..1; plot it with rqt_plot',
    'keyframe/explanation': (
        'named numbers about a frame: score, threshold, prominence, `head_share`, `is_keyframe`, '
        '… ([inspect](inspect.md)); from a live camera only while somebody subscribes'
    ),
    'keyframe/image': 'the face of a keyframe',
    'keyframe/camera_info': 'of that image; its `roi` says where it is in the frame',
    'keyframe/annotated': (
        'frame with face region, score curve and reasons; drawn only while somebody subscribes'
    ),
    'face/region': 'the square around the face, of every frame; no points: no face',
    'face/reflex': (
        'all channels but those of the head, as every frame reads them; of brows, lips and mouth '
        'corners the servo node takes what changes between keyframes, and what clearly shows: '
        'effort is 0.5 plus half of it'
    ),
    'face/landmarks': '98 points (WFLW order), pixels of the full image, z = confidence',
    'face/head_pose': 'in the camera optical frame',
    'face/expression': (
        'the channels (`jaw_open`, `mouth_smile_left`, … 0..1, gaze and head in rad), then the 51 '
        'ARKit blendshapes; confidence in effort ([landmarks and channels](landmarks.md))'
    ),
    'face/markers': 'landmarks for RViz',
    '/tf': 'the person as frames `face_ID` and `gaze_ID`, with tf2_msgs ([inspect](inspect.md))',
    '/humans/faces/tracked': 'the person who is followed (ROS4HRI), with hri_msgs',
    '/humans/faces/ID/roi': 'where that face is in the frame',
    '/humans/faces/ID/landmarks': 'its landmarks',
    '/humans/faces/ID/facs': 'its action units, from our channels',
    'landmarks/calibration': (
        'what a person who is being calibrated is to do now ([cockpit](cockpit.md))'
    ),
    'servo/joint_commands': 'commanded positions, at the bus rate',
    'joint_states': (
        'measured positions, at the bus rate (30 a second while only pages of ours listen); with '
        '`port: none` those of your own head'
    ),
    'servo/authority': (
        'who may move each joint now, at every change ([the servo node](servo_node.md))'
    ),
    'servo/joint_trajectory': 'a scripted motion for any of the joints',
    'servo/emergency_stop': (
        'a switch: true stops, and so does silence, where `emergency_stop_s` is set'
    ),
    'joint_trajectory_controller/joint_trajectory': (
        'goals for a ros2_control head, only with `port: none`'
    ),
    'avatar/image': "the robot's face, drawn from `joint_states`, only while somebody watches",
    '/clock': 'the time of a bag, from the player',
    '/diagnostics': 'every node: a sentence, rates, latencies, drops, errors',
    'servo/stop': 'stop, latched until reset',
    'servo/reset': 'end a stop',
    'servo/neutral': 'go to neutral',
    'servo/torque': 'torque on or off',
    'servo/clear_error': 'recover from a fault as far as that is possible without a reboot',
    'servo/reboot': 'reboot servos that have shut themselves off',
    'landmarks/calibrate': 'true begins to learn a person, false ends it',
    'cockpit/record': 'true begins a recording, false ends it',
}
# What the calls do not show: topics that a loop makes, and what comes from optional packages.
IN_A_LOOP = {
    f'/humans/faces/ID/{name}': [f'hri_msgs/{kind}', 'reliable, 16']
    for name, kind in (
        ('roi', 'NormalizedRegionOfInterest2D'),
        ('landmarks', 'FacialLandmarks'),
        ('facs', 'FacialActionUnits'),
    )
}
OPTIONAL = {'self._tf_messages': 'tf2_msgs', 'self._hri': 'hri_msgs'}
OWNERS = {'calibrator': 'landmarks'}  # of ~ in a module that is no node
EVERYWHERE = ('recorder', 'foxglove', 'player')


def page() -> str:
    """Return the whole page.

    Raises:
        ValueError: MEANING lacks a topic or a service, or has one that no node makes.
    """
    calls = [one for path in sorted(NODES.glob('*.py')) for one in made(path)]
    topics = {name: rest for what, name, *rest in calls if what == 'create_subscription'}
    topics |= {name: rest for what, name, *rest in calls if what == 'create_publisher'}
    topics |= IN_A_LOOP
    services = {name: kind for what, name, kind, _ in calls if what == 'create_service'}
    services |= {f'servo/{name}': f'std_srvs/{of[0].__name__}' for name, of in SERVICES.items()}
    if wrong := set(MEANING) ^ {*topics, *services}:
        raise ValueError(f'MEANING has not what the nodes have: {sorted(wrong)}')
    parts = [HEAD]
    for name in (name for name in MEANING if name in topics):
        kind, quality = topics[name]
        ends = who('publish', name), who('subscribe', name)
        parts.append(row(f'`{name}`', kind, *ends, quality, MEANING[name]))
    parts.append(BETWEEN)
    for name in (name for name in MEANING if name in services):
        parts.append(row(f'`{name}`', services[name], MEANING[name]))
    return ''.join(parts)


def row(*cells: str) -> str:
    """Return a line of a table."""
    return f'| {" | ".join(cells)} |\n'


def made(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield what the calls of a module make: the call, and name, type and quality.

    What only the running program knows, such as the topic of another package's camera, is left
    out.
    """
    tree = ast.parse(path.read_text(encoding='utf-8'))
    kinds: dict[str, str] = {}
    values: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).endswith(('.msg', '.srv')):
            package = str(node.module).split('.')[0]
            kinds |= {alias.name: f'{package}/{alias.name}' for alias in node.names}
        elif isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                values |= zip(map(ast.unparse, target.elts), value.elts, strict=True)
            else:
                values[ast.unparse(target)] = value
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        what = call.func.attr
        if what in ('create_publisher', 'create_subscription', 'create_service'):
            kind, name, *_, last = call.args
            topic, package = text(name, values), '.'.join(ast.unparse(kind).split('.')[:-1])
            full = kinds.get(ast.unparse(kind))
            if package in OPTIONAL:
                full = f'{OPTIONAL[package]}/{ast.unparse(kind).split(".")[-1]}'
            if topic and full:
                owner = OWNERS.get(path.stem) or path.stem.removesuffix('_node')
                quality = '' if 'service' in what else offered(values.get(ast.unparse(last), last))
                yield what, topic.replace('~', owner), full, quality


def text(node: ast.expr, values: dict[str, ast.expr]) -> str:
    """Return the value of a text; '' when only the running program knows it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.FormattedValue):
        return text(node.value, values)
    if isinstance(node, ast.JoinedStr):
        parts = [text(part, values) for part in node.values]
        return ''.join(parts) if all(parts) else ''
    known = values.get(ast.unparse(node))
    return text(known, values) if isinstance(known, ast.Constant) else ''


def offered(node: ast.expr) -> str:
    """Return a quality of service in words: a number of messages, or a function of qos.py."""
    if isinstance(node, ast.Constant):
        return f'reliable, {node.value!r}'
    assert isinstance(node, ast.Call), ast.unparse(node)
    profile = getattr(qos, ast.unparse(node.func).removeprefix('qos.'))
    choices = itertools.product((False, True), repeat=len(inspect.signature(profile).parameters))
    profiles = [profile(*chosen) for chosen in choices]
    depths = ' or '.join(dict.fromkeys(str(one.depth) for one in profiles))
    kept = ', kept' if profiles[0].durability.name == 'TRANSIENT_LOCAL' else ''
    return f'{profiles[0].reliability.name.lower().replace("_", " ")}, {depths}{kept}'


def who(way: str, topic: str) -> str:
    """Return the nodes that publish a topic or subscribe to it; you listen to everything."""
    found = []
    for profile in ET.parse(share_path('config/sros2_policy.xml')).iter('profile'):
        node = str(profile.get('node')).replace('operator', 'you')
        if (node, way) == ('you', 'subscribe'):
            continue
        names = [str(one.text) for one in profile.iterfind(f"topics[@{way}='ALLOW']/topic")]
        if any(fnmatchcase(f'/{topic.lstrip("/")}', name) for name in names):
            found.append(node)
    nodes = [one for one in found if one not in EVERYWHERE]
    if len(nodes) > 5:
        return 'every node'
    return ', '.join(nodes) or ('player' if 'player' in found else 'you')


if __name__ == '__main__':
    PAGE.write_text(page(), encoding='utf-8')
    print(f'written: {PAGE}')
