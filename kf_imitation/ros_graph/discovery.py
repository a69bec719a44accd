"""When a running graph has been found completely: discovery tells of its nodes one by one.

Pure Python: `nodes/parameter_reader.py` says what is discovered, this says whether to go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kf_imitation.parameters.schema import SCHEMA

# Every graph has these; frames may come from another package's camera or from a bag.
CORE = ('keyframe', 'landmarks', 'servo')
# A namespace with none of these is no graph: other packages have nodes called camera too.
SIGNS = ('keyframe', 'servo')
# What has not changed for this long, with nothing left open, is all that there is [s].
SETTLED_S = 1.0


@dataclass(frozen=True, slots=True)
class DiscoverySnapshot:
    """What discovery knows at one moment.

    Attributes:
        graphs: names of nodes of the schema, by namespace.
        unready: full names of nodes among them whose parameter services are not announced.
        unknown: endpoints seen whose node is not known yet.
    """

    graphs: Mapping[str, frozenset[str]]
    unready: frozenset[str] = frozenset()
    unknown: int = 0

    def of_this_package(self) -> dict[str, frozenset[str]]:
        """Return the graphs without namespaces that merely have a node of the same name."""
        return {place: names for place, names in self.graphs.items() if names & set(SIGNS)}


@dataclass(slots=True)
class GraphSearch:
    """Collects snapshots until the graphs are complete and steady, or until the time is over.

    Attributes:
        timeout_s: for the search.
        started_s: when it began, of a steady clock.
        snapshot: the newest.
    """

    timeout_s: float
    started_s: float
    snapshot: DiscoverySnapshot = field(default=DiscoverySnapshot({}), init=False)
    _changed_s: float = field(default=0.0, init=False)

    def update(self, snapshot: DiscoverySnapshot, now_s: float) -> bool:
        """Take the next snapshot; return whether the search is over.

        Args:
            snapshot: at this moment.
            now_s: of the clock of `started_s`.
        """
        if snapshot != self.snapshot:
            self.snapshot, self._changed_s = snapshot, now_s
        if now_s - self.started_s >= self.timeout_s:
            return True
        graphs = snapshot.of_this_package()
        complete = bool(graphs) and all(names >= set(CORE) for names in graphs.values())
        open_ends = snapshot.unready or snapshot.unknown
        return complete and not open_ends and now_s - self._changed_s >= SETTLED_S


def missing(names: frozenset[str]) -> list[str]:
    """Return the nodes of every graph that are not among those found."""
    return [name for name in CORE if name not in names]


def in_order(names: frozenset[str]) -> list[str]:
    """Return names in the order of the schema."""
    return [name for name in SCHEMA if name in names]
