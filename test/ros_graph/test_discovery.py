"""When `params save` has found a running graph completely."""

from kf_imitation.ros_graph.discovery import SETTLED_S, GraphSearch, Sight, in_order, missing

ALL = frozenset({'camera', 'keyframe', 'landmarks', 'servo'})


def search(*looks, timeout_s=10.0):
    """Give what is in sight at some times; return when the search ended, and the search."""
    searching = GraphSearch(timeout_s, 100.0)
    for after_s, sight in looks:
        if searching.look(sight, 100.0 + after_s):
            return after_s, searching
    return None, searching


def test_a_complete_graph_is_taken_as_soon_as_it_is_steady():
    sight = Sight({'/': ALL})
    times = (0, 0.1, 0.5, SETTLED_S - 0.01, SETTLED_S)
    assert search(*((t, sight) for t in times))[0] == SETTLED_S


def test_nodes_that_are_told_late_are_waited_for():
    slow = Sight({'/': frozenset({'keyframe'})})
    # Steady for long, but no graph is without landmarks and servo.
    looks = [(t, slow) for t in (0, 2, 5)]
    looks += [(t, Sight({'/': ALL})) for t in (6, 6.5, 6 + SETTLED_S)]
    ended, searching = search(*looks)
    assert ended == 6 + SETTLED_S
    assert searching.sight.graphs == {'/': ALL}


def test_every_change_starts_the_wait_anew():
    core = ALL - {'camera'}
    looks = [(0, Sight({'/': core})), (0.9, Sight({'/': ALL})), (1.5, Sight({'/': ALL}))]
    assert search(*looks)[0] is None
    assert search(*looks, (1.9, Sight({'/': ALL})))[0] == 1.9


def test_services_and_endpoints_that_are_still_open_are_waited_for():
    for sight in (
        Sight({'/': ALL}, unready=frozenset({'/servo'})),
        Sight({'/': ALL}, strangers=1),
    ):
        assert search((0, sight), (5, sight))[0] is None
        assert search((0, sight), (5, sight), (10, sight))[0] == 10


def test_what_stays_incomplete_is_taken_when_the_time_is_over_and_named():
    half = Sight({'/': frozenset({'servo', 'player'})})
    ended, searching = search((0, half), (9.9, half), (10, half))
    assert ended == 10
    (names,) = searching.sight.of_this_package().values()
    assert missing(names) == ['keyframe', 'landmarks']
    assert in_order(names) == ['servo', 'player']


def test_another_package_with_a_node_called_camera_is_no_graph_and_delays_none():
    sight = Sight({'/': ALL, '/other': frozenset({'camera'})})
    ended, searching = search((0, sight), (SETTLED_S, sight))
    assert ended == SETTLED_S
    assert set(searching.sight.of_this_package()) == {'/'}


def test_of_two_graphs_both_have_to_be_complete():
    sight = Sight({'/a': ALL, '/b': frozenset({'keyframe'})})
    assert search((0, sight), (5, sight))[0] is None
