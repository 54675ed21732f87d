"""The time that `--budget` gives to training in epochs: how many there are, so that the learning rate falls by then."""

from __future__ import annotations

import logging
import time

from optim import Schedule
from ranks.alone import Alone
from training.progress import Progress

log = logging.getLogger("tsrun")
TRIED = 8  # steps after which the time of one is known


class Budget:
    """Of one training: `seconds` (0: without end) for at most `epochs` of `steps` steps.

    What it allows is kept in `progress.limit`: all processes have the same, and so has a run that is resumed.
    """

    def __init__(self, seconds: float, epochs: int, steps: int) -> None:
        self.seconds, self.steps, self.most = seconds, steps, epochs
        self._zero = time.perf_counter()

    def begin(self, progress: Progress) -> None:
        """The clock runs from now on; what an interrupted run took counts too."""
        self._zero = time.perf_counter() - progress.seconds

    @property
    def elapsed(self) -> float:
        """Seconds of training."""
        return time.perf_counter() - self._zero

    def epochs(self, progress: Progress) -> int:
        """How many there will be, as far as is known."""
        return min(self.most, progress.limit or self.most)

    def after_step(self, progress: Progress, schedule: Schedule, together: Alone) -> bool:
        """Whether the time is over in the midst of an epoch: the learning rate knows that from the first steps on."""
        if not self.seconds or together.world > 1:  # several processes end together, after an epoch
            return False
        if progress.epoch == 0 and progress.step == TRIED:
            fit = int(self.seconds / (self.elapsed / TRIED))
            if fit < self.steps:
                schedule.total = max(fit, TRIED)
        over = self.elapsed >= self.seconds
        if over and progress.step < self.steps:
            log.info("--budget ends epoch %d after %d of %d steps", progress.epoch + 1, progress.step, self.steps)
        return over

    def after_epoch(self, progress: Progress, schedule: Schedule, together: Alone) -> str:
        """Plan as many epochs as there is time for; what to tell where these are fewer than before."""
        if not self.seconds:
            return ""
        before, each = self.epochs(progress), max(self.elapsed, 1e-6) / progress.epoch
        more = int(max(self.seconds - self.elapsed, 0) / each)
        progress.limit = together.agreed(min(before, progress.epoch + more))
        schedule.total = progress.limit * self.steps
        if progress.limit == before:
            return ""
        return f"--budget leaves time for {progress.limit} of {self.most} epochs, {each:.2g} s each"
