import pytest

from kf_imitation.doctor.finding import ERROR, OK, WARN
from kf_imitation.doctor.udev_rule import install_udev_rule
from kf_imitation.paths import share_path


@pytest.fixture
def ran():
    return []


def execute(ran, code=0):
    def call(command):
        ran.append(' '.join(command))
        return code

    return call


@pytest.mark.parametrize('answer', ['', 'n', 'later'])
def test_nothing_is_installed_without_a_yes(tmp_path, ran, answer):
    finding = install_udev_rule(lambda _: answer, execute(ran), tmp_path / 'rule')
    assert (finding.level, ran) == (WARN, [])


def test_nothing_is_installed_where_nobody_can_answer(tmp_path, ran):
    def nobody(question):
        raise EOFError

    assert install_udev_rule(nobody, execute(ran), tmp_path / 'rule').level == WARN
    assert not ran


def test_the_question_shows_the_rule_and_every_command_that_will_run(tmp_path, ran):
    asked = []

    def ask(question):
        asked.append(question)
        return 'y'

    finding = install_udev_rule(ask, execute(ran), tmp_path / 'rule')
    assert finding.level == OK
    assert 'latency_timer' in asked[0] and 'dialout' in asked[0]
    assert ran and all(command in asked[0] for command in ran)


def test_the_first_command_that_fails_ends_it(tmp_path, ran):
    finding = install_udev_rule(lambda _: 'y', execute(ran, 1), tmp_path / 'rule')
    assert finding.level == ERROR
    assert len(ran) == 1


def test_a_rule_that_is_there_is_not_installed_again(tmp_path, ran):
    (tmp_path / 'rule').write_bytes(share_path('config/99-kf-imitation.rules').read_bytes())
    assert install_udev_rule(lambda _: 'y', execute(ran), tmp_path / 'rule').level == OK
    assert not ran
