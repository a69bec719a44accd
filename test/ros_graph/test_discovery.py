"""When `params save` has found a running graph completely."""

from kf_imitation.ros_graph.discovery import (
    SETTLED_S,
    DiscoverySnapshot,
    GraphSearch,
    in_order,
    missing,
)

ALL = frozenset({'camera', 'keyframe', 'landmarks', 'servo'})


def search(*looks, timeout_s=10.0):
    """Give what is discovered at some times; return when the search ended, and the search."""
    searching = GraphSearch(timeout_s, 100.0)
    for after_s, snapshot in looks:
        if searching.update(snapshot, 100.0 + after_s):
            return after_s, searching
    return None, searching


def test_a_complete_graph_is_taken_as_soon_as_it_is_steady():
    snapshot = DiscoverySnapshot({'/': ALL})
    times = (0, 0.1, 0.5, SETTLED_S - 0.01, SETTLED_S)
    assert search(*((t, snapshot) for t in times))[0] == SETTLED_S


def test_nodes_that_are_reported_late_are_waited_for():
    slow = DiscoverySnapshot({'/': frozenset({'keyframe'})})
    # Steady for long, but no graph is without landmarks and servo.
    looks = [(t, slow) for t in (0, 2, 5)]
    looks += [(t, DiscoverySnapshot({'/': ALL})) for t in (6, 6.5, 6 + SETTLED_S)]
    ended, searching = search(*looks)
    assert ended == 6 + SETTLED_S
    assert searching.snapshot.graphs == {'/': ALL}


def test_every_change_starts_the_wait_anew():
    core = ALL - {'camera'}
    looks = [
        (0, DiscoverySnapshot({'/': core})),
        (0.9, DiscoverySnapshot({'/': ALL})),
        (1.5, DiscoverySnapshot({'/': ALL})),
    ]
    assert search(*looks)[0] is None
    assert search(*looks, (1.9, DiscoverySnapshot({'/': ALL})))[0] == 1.9


def test_services_and_endpoints_that_are_still_open_are_waited_for():
    for snapshot in (
        DiscoverySnapshot({'/': ALL}, unready=frozenset({'/servo'})),
        DiscoverySnapshot({'/': ALL}, unknown=1),
    ):
        assert search((0, snapshot), (5, snapshot))[0] is None
        assert search((0, snapshot), (5, snapshot), (10, snapshot))[0] == 10


def test_what_stays_incomplete_is_taken_when_the_time_is_over_and_named():
    half = DiscoverySnapshot({'/': frozenset({'servo', 'player'})})
    ended, searching = search((0, half), (9.9, half), (10, half))
    assert ended == 10
    (names,) = searching.snapshot.of_this_package().values()
    assert missing(names) == ['keyframe', 'landmarks']
    assert in_order(names) == ['servo', 'player']


def test_another_package_with_a_node_called_camera_is_no_graph_and_delays_none():
    snapshot = DiscoverySnapshot({'/': ALL, '/other': frozenset({'camera'})})
    ended, searching = search((0, snapshot), (SETTLED_S, snapshot))
    assert ended == SETTLED_S
    assert set(searching.snapshot.of_this_package()) == {'/'}


def test_of_two_graphs_both_have_to_be_complete():
    snapshot = DiscoverySnapshot({'/a': ALL, '/b': frozenset({'keyframe'})})
    assert search((0, snapshot), (5, snapshot))[0] is None
