from kf_imitation.head.link_monitor import POOR, LinkMonitor


def test_a_single_miss_is_no_poor_line():
    line = LinkMonitor()
    line.note(0.0, 1)
    assert line.sentence == ''


def test_misses_within_a_second_are_reported_until_they_are_over():
    line = LinkMonitor()
    line.note(0.0, 1)
    line.note(0.9, POOR)
    assert f'{POOR} replies' in line.sentence
    line.note(1.1, POOR)
    assert line.sentence == ''


def test_misses_far_apart_are_not_added_up():
    line = LinkMonitor()
    for number in range(10):
        line.note(2.0 * number, number)
        assert line.sentence == ''


def test_what_has_another_reason_is_forgotten():
    line = LinkMonitor()
    line.note(0.0, 50)
    line.forget(60)
    assert line.sentence == ''
    line.note(0.1, 61)
    assert line.sentence == ''
