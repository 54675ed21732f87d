"""Which devices of which houses are decided by whole runs, and by whose habits: training's, or the house's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tasks.nilm.cycles import Seen, own_cycle
from tasks.nilm.doubts import Usual
from tasks.nilm.runs import Whole
from tasks.nilm.states import agreement, runs

AGREED = 0.67  # F1 of step by step states and whole runs, from which on the habits are those of this house
SURE = 0.9  # such an F1, from which on nothing else is looked for
SHOWN = 3.0  # what the meter says for a run, as a log, from which on it is training's whatever the steps say
BETTER = 1.5  # times what speaks for training's habits has to speak for a house's own, where they agree
MANY = 50  # runs, from which on those that are found need not be surer than others to count in watts


@dataclass(frozen=True)
class WholeRuns:
    """The devices of a timeline of n steps whose runs are decided as a whole.

    devices : {number: {house: how}}.
    cyclic : {number: as in training} of those that come and go day and night: where a house has another one of the
        kind, its own cycle decides (cycles.py).
    mains, jumps : the meter, and by how much it jumps, W [n].
    rows : the house of each step, rising, [n].
    most : {number: the share of time from which on a device is not believed in a house}.
    silent : {number: the houses} in which none of its runs is believed.
    """

    devices: Mapping[int, Mapping[int, Whole]]
    cyclic: Mapping[int, Whole]
    mains: np.ndarray
    jumps: np.ndarray
    rows: np.ndarray
    most: Mapping[int, float] = field(default_factory=dict)
    silent: Mapping[int, Collection[int]] = field(default_factory=dict)

    @property
    def houses(self) -> dict[int, slice]:
        """Where each house is."""
        starts, lengths = runs(self.rows)
        where = zip(self.rows[starts].tolist(), starts.tolist(), lengths.tolist(), strict=True)
        return {row: slice(begin, begin + length) for row, begin, length in where}

    @classmethod
    def everywhere(
        cls,
        devices: Mapping[int, Whole],
        cyclic: Mapping[int, Whole],
        mains: np.ndarray,
        jumps: np.ndarray,
        rows: np.ndarray,
    ) -> WholeRuns:
        """With the same habits of devices in all houses."""
        houses = np.unique(rows).tolist()
        return cls({k: dict.fromkeys(houses, how) for k, how in devices.items()}, cyclic, mains, jumps, rows)

    def agreeing(self, by_step: np.ndarray, on: np.ndarray) -> WholeRuns:
        """Without the devices whose whole runs in a house are others than the steps say, of both states bool [K, n].

        Lengths and jumps are those of the houses of training; another one's fridge may be on half as long.
        """
        where = self.houses
        found = {
            k: {row: how for row, how in each.items() if agreement(by_step[k, where[row]], on[k, where[row]]) >= AGREED}
            for k, each in self.devices.items()
        }
        return replace(self, devices={k: each for k, each in found.items() if each})

    def fitted(
        self, score: np.ndarray, tau: Sequence[float], when: np.ndarray, by_step: np.ndarray, on: np.ndarray
    ) -> WholeRuns:
        """By training's habits where these agree with the steps, and of cyclic devices else by the house's own.

        Those of a cyclic device that the meter shows well are training's in spite of steps that say otherwise: a net
        takes one fridge of two for the other.

        Parameters
        ----------
        score, tau : probabilities [K, n], and thresholds [K].
        when : int64 [n]; a run ends where it does not rise by 1.
        by_step, on : states by steps and by whole runs as in training, bool [K, n].
        """
        found = {k: dict(each) for k, each in self.agreeing(by_step, on).devices.items()}
        for row, at in self.houses.items() if self.cyclic else ():
            ends = np.append(np.flatnonzero(np.diff(when[at], prepend=when[at][:1] - 2) != 1), at.stop - at.start)
            seen = {k: Seen(self.mains[at], self.jumps[at], score[k, at], ends, tau[k]) for k in self.cyclic}
            usual = {k: on[k, at] if k in self.devices else seen[k].states(how) for k, how in self.cyclic.items()}
            least = {k: self._least(how, seen[k], by_step[k, at], usual[k]) for k, how in self.cyclic.items()}
            taken = [states for k, states in usual.items() if least[k] == np.inf]
            for k in sorted(least, key=lambda k: -least[k]):
                own = None if least[k] == np.inf else own_cycle(self.cyclic[k], seen[k], taken, least[k])
                if own is None and least[k] > -np.inf and k in self.devices:
                    found.setdefault(k, {})[row] = self.devices[k][row]
                if own is not None:
                    found.setdefault(k, {})[row] = own
                    taken.append(seen[k].states(own))
        return replace(self, devices=found)

    @staticmethod
    def _least(training: Whole, seen: Seen, by_step: np.ndarray, usual: np.ndarray) -> float:
        """What has to speak for a house's own cycle, given the states by steps and by training's habits, bool [n]."""
        same = agreement(by_step, usual)
        meter, net = seen.support(training, usual)
        each = meter / max(int((usual[1:] & ~usual[:-1]).sum()), 1)
        if same >= SURE:
            return np.inf
        return BETTER * (meter + net) if each > (0.0 if same >= AGREED else SHOWN) else -np.inf

    def silenced(self, on: np.ndarray, least: int) -> WholeRuns:
        """With the houses of `least` steps or more in which a device is on far more of the time than in training.

        Something else is taken for it there: a fridge or a heat pump for a television.
        """
        where = {row: at for row, at in self.houses.items() if at.stop - at.start >= least}
        found = {k: [row for row, at in where.items() if on[k, at].mean() > most] for k, most in self.most.items()}
        return replace(self, silent={k: rows for k, rows in found.items() if rows})

    def mask(self, k: int, *, often: bool = False) -> np.ndarray:
        """The steps, bool [n], at which device k is decided by whole runs; `often`: by those of habits that are known
        well."""
        found = np.zeros(len(self.rows), bool)
        for row, how in self.devices.get(k, {}).items():
            found[self.houses[row]] = not often or how.habit.runs >= MANY or how.own
        return found

    def drawn(self, watts: np.ndarray) -> np.ndarray:
        """Watts [K, n] as a net says them, but what a house's own cycle draws where that decides."""
        found = watts
        for k, each in self.devices.items():
            for row, how in each.items():
                if how.own:
                    found = watts.copy() if found is watts else found
                    found[k, self.houses[row]] = how.habit.mean
        return found

    @property
    def rare(self) -> dict[int, Usual]:
        """What is usual of the devices of which training has few runs."""
        firsts = {k: next(iter(each.values())) for k, each in self.devices.items()}
        return {k: how.usual for k, how in firsts.items() if how.habit.runs < MANY and not how.own}

    def told(self) -> dict[int, str]:
        """How devices are decided, in words."""
        found = {}
        for k, each in self.devices.items():
            texts = [how.told() for how in each.values()]
            counts = {text: texts.count(text) for text in texts}
            of = f" in {{}} of {len(self.houses)} houses"
            one = len(counts) == 1 and len(texts) == len(self.houses)
            found[k] = texts[0] if one else "; ".join(text + of.format(count) for text, count in counts.items())
        for k, rows in self.silent.items():
            where = f"in {len(rows)} of {len(self.houses)} houses"
            often = f"said to be off {where}: on for over {self.most[k]:.0%} of the time, far more than in training"
            found[k] = f"{found[k]}; {often}" if k in found else often
        return found


NO_WHOLE_RUNS = WholeRuns({}, {}, np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
