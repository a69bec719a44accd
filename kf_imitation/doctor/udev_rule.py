"""Install our udev rule for the U2D2: rights and latency; asks first, and runs as root by sudo."""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from kf_imitation.doctor.finding import ERROR, OK, WARN, Finding
from kf_imitation.paths import share_path

INSTALLED = Path('/etc/udev/rules.d/99-kf-imitation.rules')
SUBJECT = 'udev rule'


def install_udev_rule(
    ask: Callable[[str], str] = input,
    execute: Callable[[Sequence[str]], int] = subprocess.call,
    installed: Path = INSTALLED,
) -> Finding:
    """Install config/99-kf-imitation.rules after a yes; a rule that is there already is kept.

    Args:
        ask: given the question, returns the answer; EOFError counts as no.
        execute: runs one command, returns its exit code.
        installed: where the rule belongs.
    """
    rule = share_path('config/99-kf-imitation.rules')
    text = rule.read_text(encoding='utf-8')
    if installed.is_file() and installed.read_text(encoding='utf-8') == text:
        return Finding(OK, SUBJECT, f'{installed} is there already')
    commands = [
        ('install', '-m', '644', str(rule), str(installed)),
        ('udevadm', 'control', '--reload'),
        ('udevadm', 'trigger', '--action=add', '--subsystem-match=usb-serial'),
        ('udevadm', 'trigger', '--subsystem-match=tty'),
    ]
    if os.geteuid():
        commands = [('sudo', *command) for command in commands]
    lines = '\n'.join(f'    {" ".join(command)}' for command in commands)
    try:
        answer = ask(f'{text}\nInstall this rule with\n{lines}\n? [y/N] ')
    except EOFError:
        answer = ''
    if answer.strip().lower() not in ('y', 'yes'):
        return Finding(WARN, SUBJECT, 'not installed, as you wished')
    for command in commands:
        try:
            code = execute(command)
        except OSError as error:
            return Finding(ERROR, SUBJECT, f'{" ".join(command)}: {error.strerror}')
        if code:
            return Finding(ERROR, SUBJECT, f'{" ".join(command)} ended with code {code}')
    return Finding(OK, SUBJECT, f'{installed} is installed')
