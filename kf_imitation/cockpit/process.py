"""The cockpit as a process of its own: whatever its watchers do costs the head no time."""

import os
import subprocess
import sys
from collections.abc import Mapping
from threading import Thread
from typing import Any

from kf_imitation.child_process import end_child, start_child
from kf_imitation.cockpit.access import load_token, token_file
from kf_imitation.cockpit.place import listen, place_from
from kf_imitation.errors import KfImitationError

END_S = 3.0
# Where the processor is short, watchers miss pictures before the head misses frames. (A third of
# a usual process's share: the page's stop is still heard at once.)
NICER = 5


class CockpitProcess:
    """`kf_imitation cockpit` as a child, which ends with this process.

    Attributes:
        url: of the page, with its secret.
        fault: that it ended by itself; None while it has not.
    """

    def __init__(self, settings: Mapping[str, Any], namespace: str, params: str) -> None:
        """Start it; who opens its address sees the page when it is up, some seconds later.

        Args:
            settings: parameters of the cockpit node.
            namespace: of the nodes.
            params: parameter file, or ''.

        Raises:
            ConfigError: the address cannot be used, no port is free, or the secret is faulty.
        """
        place = place_from(settings)
        token = load_token(token_file())
        listening = listen(place)
        self.url = place.url(listening, token)
        robot = settings['robot']
        options = {'--robot': robot, '--namespace': namespace, '--params': params}
        given = ['--until-input-ends', '--listening', str(listening.fileno())]
        given += [word for pair in options.items() if pair[1] for word in pair]
        # At Ctrl-C the page stays until the head rests.
        self._process = start_child(
            'kf_imitation.cli.main',
            ['cockpit', *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listening.fileno()],
        )
        listening.close()
        os.setpriority(os.PRIO_PROCESS, self.pid, os.nice(0) + NICER)
        self.fault: KfImitationError | None = None
        self._closing = False
        self._reader = Thread(target=self._read, name='cockpit output', daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def __enter__(self) -> 'CockpitProcess':
        """Return itself; it runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    def close(self) -> None:
        """End it; may be called twice."""
        self._closing = True
        self._process.terminate()
        end_child(self._process, END_S)
        self._reader.join(END_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.read()  # to its end; the address is known
        if not self._closing:
            self.fault = KfImitationError('the cockpit ended before the run did')
            print(
                'kf_imitation: the cockpit has ended; the head goes on, and kf_imitation cockpit '
                'serves the page again',
                file=sys.stderr,
            )
