"""Optuna's storage with fewer statements: what belongs together is one transaction, and what was just read is known.

Optuna commits every value by itself and reads the study anew for every question. A search writes as much between two
trials as its trials take, where these are small.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import optuna
from optuna.storages._cached_storage import _CachedStorage
from sqlalchemy.orm import Session, scoped_session, sessionmaker

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class Joined(Session):
    """A session whose commits, while it is `joined`, are parts of one transaction."""

    joined = wrote = lost = False

    def commit(self) -> None:
        if not self.joined:
            return super().commit()
        self.flush()
        self.expire_all()  # as after a commit: what is asked for next is read
        self.wrote = True
        return None

    def rollback(self) -> None:
        self.lost |= self.joined and self.wrote
        super().rollback()

    def close(self) -> None:
        if not self.joined:
            super().close()


class Storage(_CachedStorage):
    """The trials of studies; finished ones are read once.

    It is for one thread, as Optuna's sessions are.
    """

    def __init__(self, backend: optuna.storages.RDBStorage) -> None:
        super().__init__(backend)
        self._session = scoped_session(sessionmaker(bind=backend.engine, class_=Joined))
        backend.scoped_session = self._session  # type: ignore[assignment]
        self._still = False
        self._made: list[int] = []  # trials of the transaction that is open

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is written within is one transaction: there whole, or not at all."""
        session = self._session()
        session.joined, session.wrote, session.lost, self._made = True, False, False, []
        try:
            yield
            session.joined = False
            if session.lost:  # Optuna takes some errors back by itself, and with them what was written before
                raise optuna.exceptions.StorageInternalError("a transaction was taken back")
            session.commit()
        except BaseException:
            session.joined = False
            session.rollback()
            self._forget(self._made)
            raise
        finally:
            session.close()

    def _forget(self, made: Sequence[int]) -> None:
        for study_id, number in (self._trial_id_to_study_id_and_number.pop(trial_id) for trial_id in made):
            del self._study_id_and_number_to_trial_id[study_id, number]
            del self._studies[study_id].trials[number]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        self._made.append(trial_id)
        return trial_id

    @contextmanager
    def still(self) -> Iterator[None]:
        """Trials within are as they were read last, or created here."""
        self._still = True
        try:
            yield
        finally:
            self._still = False

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        if not self._still:
            super()._read_trials_from_remote_storage(study_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if not self._still or trial_id not in self._trial_id_to_study_id_and_number:
            return super().get_trial(trial_id)
        study_id, number = self._trial_id_to_study_id_and_number[trial_id]
        return copy.deepcopy(self._studies[study_id].trials[number])
