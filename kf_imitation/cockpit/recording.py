"""A recording that the page starts and ends: `kf_imitation record` as a child process."""

import subprocess
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from threading import Thread

from kf_imitation.child_process import end_child, start_child
from kf_imitation.cockpit.actions import Outcome

END_S = 2.5  # less than the parent of the cockpit waits (process.py)


class Recording:
    """At most one bag at a time. The child closes it when this process ends, however it ends.

    Attributes:
        sentence: what became of the last one; '' before the first, and while one is made.
        failed: it ended by itself, for example on a full disk; the sentence says why.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        """Record nothing yet.

        Args:
            folder: that takes the bags.
            namespace: of the nodes that are recorded.
        """
        self._folder, self._namespace = folder, namespace
        self._process: subprocess.Popen[str] | None = None
        self._reader = Thread()
        self._said: list[str] = []
        self._ends: list[Future[Outcome]] = []
        self.sentence = ''
        self.failed = False

    @property
    def is_running(self) -> bool:
        """Whether a bag is being made or closed."""
        return self._process is not None

    @property
    def waits_for(self) -> str:
        """What the recorder is doing where nothing was heard of it."""
        return 'ending …' if self._ends else 'starting …'

    def begin(self, images: bool) -> Outcome:
        """Start one.

        Args:
            images: record them too; they show people.
        """
        if self.is_running:
            return Outcome(False, 'a recording is under way already')
        bag = self._folder / f'bag-{datetime.now():%Y%m%d-%H%M%S}'
        options = [*(['--images'] if images else []), '--namespace', self._namespace]
        self._said = []
        self.sentence, self.failed = '', False
        self._process = start_child(
            'kf_imitation.cli.main',
            ['record', '--out', str(bag), '--until-input-ends', *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        return Outcome(True, f'the recorder starts; its bag will be {bag}')

    def end(self) -> 'Future[Outcome]':
        """Close the bag; done once it is closed, or at once without one."""
        ended: Future[Outcome] = Future()
        if self._process is None:
            ended.set_result(Outcome(False, 'nothing is being recorded'))
            return ended
        self._ends.append(ended)
        assert self._process.stdin is not None
        self._process.stdin.close()
        return ended

    def look(self) -> None:
        """See whether it has ended; called several times a second."""
        if self._process is None or self._process.poll() is None:
            return
        self._reader.join()
        done = self._process.returncode == 0
        fault = 'kf_imitation: '
        wanted = [line for line in self._said if line.startswith('closed ' if done else fault)]
        self.sentence = wanted[-1].removeprefix(fault) if wanted else 'nothing was recorded'
        self.failed = not (done and self._ends)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = None
        for ended in self._ends:
            ended.set_result(Outcome(done, self.sentence))
        self._ends = []

    def close(self, patience_s: float = END_S) -> None:
        """End it, at the end of the program; one that takes longer is killed."""
        if self._process is not None:
            self.end()
            end_child(self._process, patience_s)
            self.look()

    def _read(self, process: 'subprocess.Popen[str]') -> None:
        assert process.stdout is not None
        self._said += [line.strip() for line in process.stdout]
