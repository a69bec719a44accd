"""Whose diagnostics the page shows, where several programs have nodes of one name."""

from math import inf

from kf_imitation.cockpit.summary import NodeStatus

# Of several, one that has said nothing for this long has gone; each speaks once a second.
GONE_S = 2.5


class Heard:
    """The newest diagnostics of every node by name and process.

    Of servo nodes of one name the one that is active for longest counts (it is the only one that
    takes commands), of other nodes that of its process, otherwise the first. One that is silent
    is forgotten once another is heard.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, dict[str, NodeStatus]] = {}
        self._since_s: dict[tuple[str, str], float] = {}  # when a node and process came up

    def take(self, name: str, status: NodeStatus) -> None:
        """Note what a node says of itself; its process is among the values."""
        process = status.values.get('process', '')
        kept = _alive(self._statuses.get(name, {}), status.heard_s)
        if process not in kept:
            self._since_s[name, process] = status.heard_s
        self._statuses[name] = kept | {process: status}

    def shown(self, now_s: float) -> dict[str, NodeStatus]:
        """Return one status for each name, perhaps of one that is silent by now.

        Args:
            now_s: of the same clock as heard_s.
        """
        servo = self._chosen('servo', '', now_s)
        return {
            name: said[self._chosen(name, servo, now_s)] for name, said in self._statuses.items()
        }

    def rivals(self, now_s: float) -> list[str]:
        """Return the processes of servo nodes that run beside the one that is shown."""
        said = self._statuses.get('servo', {})
        chosen = self._chosen('servo', '', now_s)
        return sorted(
            process
            for process in _alive(said, now_s)
            # One that has followed on another is none.
            if process != chosen and self._since_s['servo', process] < said[chosen].heard_s
        )

    def _chosen(self, name: str, preferred: str, now_s: float) -> str:
        said = self._statuses.get(name, {})
        alive = _alive(said, now_s) or said
        first = min(alive, key=lambda process: _active_since(alive[process]), default='')
        return preferred if preferred in alive else first


def _alive(said: dict[str, NodeStatus], now_s: float) -> dict[str, NodeStatus]:
    return {process: s for process, s in said.items() if now_s - s.heard_s < GONE_S}


def _active_since(status: NodeStatus) -> float:
    """Return since when a servo node has been active; infinity for others."""
    try:
        return float(status.values['active since'])
    except (KeyError, ValueError):
        return inf
