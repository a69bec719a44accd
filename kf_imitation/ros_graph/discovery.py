"""When a running graph has been found completely: discovery tells of its nodes one by one.

Pure Python: `nodes/parameter_reader.py` says what is in sight, this says whether to go on.
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
class Sight:
    """What discovery knows at one moment.

    Attributes:
        graphs: names of nodes of the schema, by namespace.
        unready: full names of nodes among them whose parameter services are not announced.
        strangers: endpoints seen whose node is not known yet.
    """

    graphs: Mapping[str, frozenset[str]]
    unready: frozenset[str] = frozenset()
    strangers: int = 0

    def of_this_package(self) -> dict[str, frozenset[str]]:
        """Return the graphs without namespaces that merely have a node of the same name."""
        return {place: names for place, names in self.graphs.items() if names & set(SIGNS)}


@dataclass(slots=True)
class GraphSearch:
    """Looks until the graphs are complete and steady, or until the time is over.

    Attributes:
        timeout_s: for the search.
        started_s: when it began, of a steady clock.
        sight: the newest.
    """

    timeout_s: float
    started_s: float
    sight: Sight = field(default=Sight({}), init=False)
    _changed_s: float = field(default=0.0, init=False)

    def look(self, sight: Sight, now_s: float) -> bool:
        """Take what is in sight; tell whether the search is over.

        Args:
            sight: at this moment.
            now_s: of the clock of `started_s`.
        """
        if sight != self.sight:
            self.sight, self._changed_s = sight, now_s
        if now_s - self.started_s >= self.timeout_s:
            return True
        graphs = sight.of_this_package()
        complete = bool(graphs) and all(names >= set(CORE) for names in graphs.values())
        open_ends = sight.unready or sight.strangers
        return complete and not open_ends and now_s - self._changed_s >= SETTLED_S


def missing(names: frozenset[str]) -> list[str]:
    """Return the nodes of every graph that are not among those found."""
    return [name for name in CORE if name not in names]


def in_order(names: frozenset[str]) -> list[str]:
    """Return names in the order of the schema."""
    return [name for name in SCHEMA if name in names]
