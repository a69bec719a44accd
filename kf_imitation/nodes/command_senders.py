"""Whose commands count: one program on each topic, and one servo node for each name."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from kf_imitation.nodes.node_base import PROCESS

HEARD_S = 3.0  # every node reports once a second
COMMANDED = 'servo/joint_commands'  # sent by servo nodes alone


class CommandSenders:
    """Finds out who else commands the head, or moves another one by the same commands.

    On each topic the first who sends has the head until it is gone: what others send there is
    rejected. Of two servo nodes of one name the younger one takes no command, and what it took
    before it heard of the elder is void.
    """

    def __init__(self, node: Node, on_elder: Callable[[], None]) -> None:
        """Listen to the reports of other servo nodes.

        Args:
            node: this one.
            on_elder: called as another node of this name, which was first, is found.
        """
        self._node = node
        self._on_elder = on_elder
        self._owners: dict[str, bytes] = {}
        self._names: dict[str, str] = {}
        self._heard: dict[tuple[str, str], float] = {}  # when: node and process
        self._since_s, self._began_s = time.time(), time.monotonic()
        self._elder = ''
        self._elder_heard_s = -HEARD_S
        node.create_subscription(DiagnosticArray, '/diagnostics', self._hear, 10)

    def begin(self) -> None:
        """Start anew, as the head is activated."""
        self._owners.clear()
        self._names.clear()
        self._since_s, self._began_s = time.time(), time.monotonic()

    def values(self) -> dict[str, object]:
        """Return what other servo nodes have to know, for /diagnostics."""
        return {'active since': f'{self._since_s:.3f}'}

    def owner(self, topic: str) -> str:
        """Return the name of whose commands count on a topic; '' if nobody's do yet."""
        return self._names.get(topic, '')

    def problem(self, topic: str, info: dict[str, Any]) -> str:
        """Return why a command does not count; '' if it does.

        Args:
            topic: on which it came.
            info: of the message. Before ROS 2 Kilted it does not tell the sender, and everybody's
                commands count.
        """
        if problem := self.rival_problem():
            return problem
        sender = (info.get('publisher_gid') or {}).get('data')
        owner = self._owners.get(topic)
        if sender is None or sender == owner:
            return ''
        senders = self._senders(topic)
        if owner in senders:
            first, other = senders[owner], senders.get(sender, 'somebody else')
            if first == other:
                return (
                    f'{topic} is sent by two nodes {first}{self._processes(first)}, of which the '
                    'first counts until it ends: give one head a namespace or a ROS domain of '
                    'its own'
                )
            return (
                f'{topic} is sent by {first}, and now by {other} too, who does not count until '
                'that one ends'
            )
        self._owners[topic] = sender
        self._names[topic] = senders.get(sender, '')
        return ''

    def rival_problem(self) -> str:
        """Return why no command counts, whoever sends it: another servo node; '' if they do."""
        if self._knows_elder():
            return (
                f'{self._node.get_fully_qualified_name()} also runs as process {self._elder}, '
                'which was first: give this head a namespace or a ROS domain of its own'
            )
        is_new = time.monotonic() - self._began_s < HEARD_S
        if is_new and self._node.count_publishers(COMMANDED) > 1:
            return f'somebody else sends {COMMANDED}: another servo node, or what is left of one'
        return ''

    def note(self, topic: str, name: str) -> None:
        """Take down who hands over what stands for a topic inside this process."""
        self._names[topic] = name

    def _knows_elder(self) -> bool:
        return time.monotonic() - self._elder_heard_s < HEARD_S

    def _processes(self, name: str) -> str:
        """Return in which processes a name was just heard, where there are several."""
        recent = sorted(process for node, process in self._heard if node == name)
        return f' (processes {" and ".join(recent)})' if len(recent) > 1 else ''

    def _senders(self, topic: str) -> dict[bytes | None, str]:
        return {
            bytes(one.endpoint_gid): f'{one.node_namespace.rstrip("/")}/{one.node_name}'
            for one in self._node.get_publishers_info_by_topic(
                self._node.resolve_topic_name(topic)
            )
        }

    def _hear(self, message: DiagnosticArray) -> None:
        now_s = time.monotonic()
        self._heard = {key: at_s for key, at_s in self._heard.items() if now_s - at_s < HEARD_S}
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            process = values.get('process', PROCESS)
            self._heard[status.hardware_id, process] = now_s
            if status.hardware_id != self._node.get_fully_qualified_name() or process == PROCESS:
                continue
            with suppress(KeyError, ValueError):  # of somebody who only calls itself as we do
                since = float(values['active since']), process
                if since < (self._since_s, PROCESS):
                    known = self._knows_elder()
                    self._elder, self._elder_heard_s = process, now_s
                    if not known:
                        self._on_elder()
