"""`servo/authority`: who may move each joint now, published whenever it changes."""

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from kf_imitation.head.authority import NOBODY, STOP
from kf_imitation.nodes import qos
from kf_imitation.nodes.node_base import OK, KfNode

PERIOD_S = 0.1


class AuthorityPublisher:
    """Looks at a head some times a second; whoever comes later gets the last message, too."""

    def __init__(
        self,
        node: KfNode,
        owners: Callable[[], dict[str, str]],
        sender: Callable[[str], str],
    ) -> None:
        """Begin.

        Args:
            node: that has the head.
            owners: returns the owner of each joint (head/authority.py); empty without a head.
            sender: returns the name of the node whose commands of a kind count; '' for none.
        """
        self._node = node
        self._owners, self._sender = owners, sender
        self._published: dict[str, str] = {}
        self._publisher = node.create_publisher(DiagnosticStatus, 'servo/authority', qos.latched())
        node.steady_timer(PERIOD_S, self.publish)

    def publish(self) -> None:
        """Tell who owns the joints, if that has changed."""
        owners = {joint: self._named(kind) for joint, kind in self._owners().items()}
        if owners == self._published:
            return
        changed = set(self._published.values()) ^ set(owners.values())
        self._published = owners
        self._publisher.publish(
            DiagnosticStatus(
                level=OK,
                name='servo/authority',
                message=authority_sentence(owners),
                hardware_id=self._node.get_fully_qualified_name(),
                values=[KeyValue(key=joint, value=owner) for joint, owner in owners.items()],
            )
        )
        if changed & {STOP, NOBODY}:  # who reads both finds no contradiction
            self._node.publish_diagnostics()

    def _named(self, kind: str) -> str:
        name = self._sender(kind)
        return f'{kind} {name}' if name else kind


def authority_sentence(owners: dict[str, str]) -> str:
    """Return who owns what in words: `trajectory: neck_yaw, jaw; face /landmarks: all others`."""
    joints: dict[str, list[str]] = {}
    for joint, owner in owners.items():
        joints.setdefault(owner, []).append(joint)
    if len(joints) <= 1:
        return next(iter(joints), 'nobody')
    *few, most = sorted(joints, key=lambda owner: len(joints[owner]))
    return '; '.join([*(f'{one}: {", ".join(joints[one])}' for one in few), f'{most}: all others'])
