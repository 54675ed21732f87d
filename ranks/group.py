"""One of several processes that train one model: DistributedDataParallel over gloo (CPU) and NCCL (CUDA)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from errors import ResourceError, UsageError
from ranks.alone import Alone, Value

if TYPE_CHECKING:
    from ranks import Place

LONGEST = timedelta(days=7)  # that one may wait for the others: rank 0 may be drawing, or fitting references
MEETING = timedelta(minutes=10)  # for the first time
GRACE = 3.0  # seconds in which all that lose one of them say that they are there
LOOK = 0.02  # seconds between two looks whether the others are there: in between signals are heard
GONE = ("Connection closed", "Connection reset", "Broken pipe", "gloo", "NCCL", "process group", "Timed out waiting")


class Group(Alone):
    """Rank `rank` of `world`."""

    def __init__(self, place: Place, store: PrefixStore | None = None) -> None:
        self.rank, self.world, self.local = place.rank, place.world, place.local
        self._store = store

    @classmethod
    def join(cls, place: Place, device: torch.device, argv: Sequence[str]) -> Group:
        """Meet the others; see `ranks.joined`."""
        _check(place, device)
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        name = hashlib.sha256("\0".join([os.environ.get("TORCHELASTIC_RUN_ID", ""), *argv]).encode()).hexdigest()[:12]
        try:
            store, rank, world = next(rendezvous("env://", timeout=MEETING))
            if device.type == "cuda":
                torch.cuda.set_device(place.local)
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            store = PrefixStore(f"tsrun-{name}", store)
            dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=LONGEST)
        except (RuntimeError, ValueError, OSError) as error:
            what = f"the {place.world} processes do not meet: {str(error).splitlines()[0]}"
            hint = "torchrun --standalone finds a free port for each run of one machine"
            raise ResourceError(what, where=address, hint=hint) from None
        return cls(place, store)

    def leave(self) -> None:
        """End the group, on this side."""
        dist.destroy_process_group()

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """ResourceError where what ends the block says that another process has ended; else the others hear of it."""
        try:
            yield
        except BaseException as error:
            if not self.lost(error):
                self._leave_word(error)
                raise
            what = f"rank {self.rank} of {self.world} has lost the others: {self._ended()}"
            raise ResourceError(what, hint="--resume continues this run where a state was saved") from None

    def _leave_word(self, error: BaseException) -> None:
        """Say to the others what ends this process."""
        if self._store is not None:
            with contextlib.suppress(RuntimeError):  # rank 0, which holds the store, may be gone
                self._store.set(f"ended {self.rank}", str(error) or type(error).__name__)

    def _ended(self) -> str:
        """Which of the others have ended, and what they said last."""
        assert self._store is not None
        said, silent = dict[int, str](), set(range(self.world)) - {self.rank}
        with contextlib.suppress(RuntimeError):
            self._store.set(f"lost {self.rank}", "")
            until = time.monotonic() + GRACE
            while silent and time.monotonic() < until:
                time.sleep(LOOK)
                ended = [rank for rank in silent if self._store.check([f"ended {rank}"])]
                said |= {rank: self._store.get(f"ended {rank}").decode() for rank in ended}
                silent -= {rank for rank in silent if rank in said or self._store.check([f"lost {rank}"])}
        told = [f"rank {rank} has ended: {word}" for rank, word in sorted(said.items())]
        told += [f"rank {rank} has ended without a word, or does not answer" for rank in sorted(silent) if not said]
        return "; ".join(told) or "one of them has ended"

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, RuntimeError) and any(word in str(error) for word in GONE)

    def device(self, device: torch.device) -> torch.device:
        return torch.device("cuda", self.local) if device.type == "cuda" else device

    # --- what all of them know ---------------------------------------------------------------------------------------

    def agreed(self, value: Value) -> Value:
        self.meet()
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def everyones(self, value: Value) -> list[Value]:
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value)
        return found

    def meet(self) -> None:
        work = dist.all_reduce(torch.zeros(1), async_op=True)
        assert work is not None
        while not work.is_completed():
            time.sleep(LOOK)
        work.wait()

    def follow(self, model: nn.Module) -> None:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)

    def signalled(self, signum: int) -> int:
        found = torch.tensor([signum])
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    @contextlib.contextmanager
    def by_turns(self, cached: bool) -> Any:
        if cached and self.local:
            self.meet()
        yield
        if cached and not self.local:
            self.meet()

    # --- training ----------------------------------------------------------------------------------------------------

    def share(self, positions: torch.Tensor) -> torch.Tensor:
        return positions[:, self.rank :: self.world]

    def size(self, total: int) -> int:
        return -(-total // self.world)

    def reduced(self, runner: Callable[..., torch.Tensor], *, some_unused: bool) -> Callable[..., torch.Tensor]:
        assert isinstance(runner, nn.Module)
        device = next(runner.parameters()).device
        devices = [device] if device.type == "cuda" else None
        made: Callable[..., torch.Tensor] = DistributedDataParallel(runner, devices, find_unused_parameters=some_unused)
        return made

    def whole(self, outputs: torch.Tensor, y: torch.Tensor, total: int) -> tuple[torch.Tensor, torch.Tensor]:
        copies = len(outputs) // len(y)
        by_window = outputs.unflatten(0, (copies, -1)).transpose(0, 1)
        return self._gathered(by_window, total).transpose(0, 1).flatten(0, 1), self._gathered(y, total)

    def _gathered(self, mine: torch.Tensor, total: int) -> torch.Tensor:
        """The shares [b, ...] of all ranks one after the other, [total, ...]; with gradients for this one."""
        counts = [len(range(rank, total, self.world)) for rank in range(self.world)]
        everyone = self._all(mine.detach(), max(counts))
        parts = [mine if rank == self.rank else everyone[rank][:n] for rank, n in enumerate(counts)]
        return torch.cat(parts)

    def _all(self, mine: torch.Tensor, most: int) -> list[torch.Tensor]:
        """What each rank has, [b, ...] of at most `most` each -> [most, ...] of each, filled up with zeros."""
        filled = mine.new_zeros((most, *mine.shape[1:]))
        filled[: len(mine)] = mine
        everyone = [torch.empty_like(filled) for _ in range(self.world)]
        dist.all_gather(everyone, filled)
        return everyone

    def apart(self, seed: int, epoch: int, step: int) -> None:
        if not self.rank:
            return
        drawn = np.random.SeedSequence([seed, self.rank, epoch, step]).generate_state(1)
        torch.manual_seed(int(drawn[0]))
        random.seed(int(drawn[0]))

    def ends(self) -> None:
        self.meet()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})

    # --- closed forms ------------------------------------------------------------------------------------------------

    def part(self, total: int) -> tuple[int, int]:
        return total * self.rank // self.world, total * (self.rank + 1) // self.world

    def summed(self, sums: np.ndarray) -> np.ndarray:
        self.meet()
        total = torch.from_numpy(np.ascontiguousarray(sums, np.float64))
        dist.reduce(total, dst=0)
        dist.broadcast(total, src=0)  # not each its own: another order of adding up may end in another choice
        found: np.ndarray = total.numpy()
        return found

    # --- scoring -----------------------------------------------------------------------------------------------------

    def slice(self, total: int) -> tuple[int, int]:
        if total < self.world:  # all of them score all: a share without a window has no outputs to gather
            return 0, total
        return self.part(total)

    def joined(self, outputs: torch.Tensor, total: int) -> torch.Tensor:
        if total < self.world:
            return outputs
        whole = outputs.new_empty((total, *outputs.shape[1:]))
        begin, end = self.part(total)
        whole[begin:end] = outputs
        for rank in range(self.world):  # in place: a list of all parts would hold everything twice
            dist.broadcast(whole[total * rank // self.world : total * (rank + 1) // self.world], src=rank)
        return whole

    def hand(self, block: np.ndarray, rank: int) -> None:
        if self.rank == rank > 0:
            dist.send(torch.from_numpy(block), 0)
        elif self.first and rank:
            dist.recv(torch.from_numpy(block), rank)


def _check(place: Place, device: torch.device) -> None:
    """UsageError where one device is named for all processes of a machine, or there are too few."""
    if device.type != "cuda" or place.local_world == 1:
        return
    if device.index is not None:
        hint = "--device cuda, or --device cpu"
        raise UsageError("each process takes a device of its own", where=f"--device {device}", hint=hint)
    count = torch.cuda.device_count()
    if place.local_world > count:
        what = f"{place.local_world} processes and {count} cuda device{'s' * (count > 1)}"
        raise UsageError(what, where="--device cuda", hint=f"--nproc-per-node {count}, or --device cpu")
