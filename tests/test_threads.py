"""readers/threads.py: threads that cannot begin, or are gone, are told and not waited for."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from readers.threads import check_room, result_of


def test_what_a_thread_gives_is_waited_for_while_there_is_one():
    with ThreadPoolExecutor(1, "some") as pool:
        assert result_of(pool.submit(sum, [1, 2]), "some") == 3
    with pytest.raises(MemoryError):
        result_of(Future[int](), "gone")


def test_threads_without_room_are_refused():
    check_room(2, 1 << 20)
    with pytest.raises(MemoryError):
        check_room(1, 1 << 60)
