"""The SROS 2 policy names what every node sends, hears and offers: no more and no less."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from kf_imitation.nodes.programs import NODES
from kf_imitation.paths import share_path
from kf_imitation.ros_graph.nodes import TOPICS

ENCLAVES = ET.parse(share_path('config/sros2_policy.xml')).getroot().find('enclaves')
KINDS = ('publish', 'subscribe', 'reply', 'request')
# What nodes have at times only: with a bag's time, with `port: none`, with images, while watched,
# where no frame may be lost, during a calibration, with tf2_msgs or hri_msgs, in a process of its
# own (elsewhere images, faces and reflexes are handed over without a message).
AT_TIMES = {
    'keyframe': {'/camera_info', '/image_raw'},
    'landmarks': {
        *('/camera_info', '/face/region', '/humans/faces/*', '/image_raw', '/tf'),
        *('/keyframe/camera_info', '/keyframe/image'),
    },
    'servo': {
        '/joint_trajectory_controller/joint_trajectory',
        '/face/reflex',
        '/face/region',
        '/joint_states',
        '/servo/emergency_stop',
    },
    'recorder': {'/image_raw', '/keyframe/image'},
    'avatar': {'/joint_states'},
    'foxglove': {name if name.startswith('/') else f'/{name}' for name in TOPICS},
    'camera': {'/face/region', '/keyframe/explanation'},
    'cockpit': {
        '/diagnostics',
        '/face/expression',
        '/face/landmarks',
        '/face/region',
        *('/camera_info', '/image_preview', '/image_raw'),
        '/joint_states',
        '/keyframe/explanation',
        '/keyframe/image',
        '/landmarks/calibration',
        '/servo/authority',
        '/servo/joint_trajectory',
    },
}


def allowed(enclave):
    """Names by node and kind."""
    found = {}
    for profile in ENCLAVES.find(f"enclave[@path='{enclave}']").iter('profile'):
        names = found.setdefault(profile.get('node'), {kind: set() for kind in KINDS})
        for group in profile:
            for kind in KINDS:
                if group.get(kind) == 'ALLOW':
                    names[kind] |= {one.text.strip() for one in group}
    return found


def used(node, name):
    """What discovery tells of a node, by kind."""
    ask = {
        'publish': node.get_publisher_names_and_types_by_node,
        'subscribe': node.get_subscriber_names_and_types_by_node,
        'reply': node.get_service_names_and_types_by_node,
        'request': node.get_client_names_and_types_by_node,
    }
    return {kind: {topic for topic, _ in asked(name, '/')} for kind, asked in ask.items()}


def test_it_allows_what_the_nodes_of_a_running_graph_have_and_nothing_else(
    start, listener, tmp_path
):
    shown = ['--avatar', *(['--foxglove'] if find_spec('foxglove') else [])]
    start('mimic', '--source', 'test-pattern', *shown, '--record', str(tmp_path / 'bag'))
    policy = allowed('/kf_imitation')
    assert set(policy) == {name.removesuffix('_node') for name in NODES}
    names = set(policy) - {'player'} - (set() if find_spec('foxglove') else {'foxglove'})
    listener.wait_for(lambda: names <= set(listener.node.get_node_names()), 150.0)
    for name in sorted(names):
        spare = {'/clock', *AT_TIMES.get(name, ())}

        def lacking(name=name, spare=spare):
            seen = used(listener.node, name)
            return {k: left for k in KINDS if (left := policy[name][k] - seen[k] - spare)}

        what = lambda name=name, lacking=lacking: f'{lacking()} of {name}'  # noqa: E731
        listener.wait_for(lambda lacking=lacking: not lacking(), 60.0, what)
        seen = used(listener.node, name)
        assert not any(seen[kind] - policy[name][kind] for kind in KINDS), (name, seen)
    page = (Path(__file__).resolve().parents[2] / 'docs/topics.md').read_text(encoding='utf-8')
    listed = re.findall(r'^\| `/?([\w/]+)` \| (\w+)/(\w+) \|', page, re.MULTILINE)
    said = {f'/{name}': [f'{package}/msg/{kind}'] for name, package, kind in listed}
    seen = {n: kinds for n, kinds in listener.node.get_topic_names_and_types() if n in said}
    assert len(seen) > 15 and seen == {name: said[name] for name in seen}


def test_an_operator_may_stop_and_look_on_but_not_send_faces():
    (operator,) = allowed('/kf_imitation/operator').values()
    assert {'/servo/stop', '/servo/reset', '/servo/torque'} <= operator['request']
    assert operator['publish'] == {
        '/servo/joint_trajectory',
        '/servo/emergency_stop',
        '/rosout',
        '/parameter_events',
    }


def test_the_servo_hears_no_more_than_the_file_names():
    heads = {'/face/expression', '/face/reflex', '/face/region', '/servo/joint_trajectory'}
    assert heads < allowed('/kf_imitation')['servo']['subscribe']
    senders = [n for n, kinds in allowed('/kf_imitation').items() if kinds['publish'] & heads]
    assert sorted(senders) == ['cockpit', 'keyframe', 'landmarks', 'player']


def test_a_node_that_is_to_have_keys_never_runs_without(tmp_path):
    """ROS 2 from wheels is built without DDS security: it refuses, and does not run open."""
    enclave = tmp_path / 'enclaves' / 'servo'
    enclave.mkdir(parents=True)
    for name in (
        'identity_ca.cert.pem',
        'cert.pem',
        'key.pem',
        'permissions_ca.cert.pem',
        'governance.p7s',
        'permissions.p7s',
    ):
        (enclave / name).write_text('no key', encoding='utf-8')
    program = (
        "import rclpy; rclpy.init(args=['--ros-args', '--enclave', '/servo']); "
        "rclpy.create_node('servo'); print('runs')"
    )
    keys = {'ENABLE': 'true', 'STRATEGY': 'Enforce', 'KEYSTORE': str(tmp_path)}
    done = subprocess.run(
        [sys.executable, '-c', program],
        env={**os.environ, **{f'ROS_SECURITY_{name}': value for name, value in keys.items()}},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert 'runs' not in done.stdout
    assert 'error creating node' in done.stderr


def test_foxglove_may_look_on_at_what_it_serves_and_change_nothing():
    policy = allowed('/kf_imitation')['foxglove']
    assert policy['subscribe'] == AT_TIMES['foxglove'] | {'/clock'}
    assert policy['request'] == set()
    assert policy['publish'] == {'/diagnostics', '/parameter_events', '/rosout'}
