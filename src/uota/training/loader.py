"""A DataLoader whose worker processes leave signals to their parent and report errors as sentences."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, Dataset

from uota.errors import UotaError
from uota.training.signals import current_request, hold_back_signals, leave_signals_to_parent

# The beginning of torch's message when a worker process has died.
DEAD_PROCESS = "DataLoader worker"
# The default on Linux until Python 3.13. Forked processes share their parent's memory, so all of them know which images
# are cached and which files are unreadable; processes of a fork server, the default from 3.14 on, do not.
START_METHOD = "fork" if sys.platform == "linux" else None


class Loader(DataLoader[Any]):
    """A DataLoader for datasets that make whole batches.

    A `UotaError` in a worker process is raised again in the parent. A request to stop interrupts the wait for a batch.

    Args:
        dataset: makes a batch of a list of indices, or an item of an index.
        num_workers: number of worker processes.
        prepare: what is done to the batches in this process, such as `device_views.views_on`.
        options: further options of torch's DataLoader.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        num_workers: int,
        prepare: Callable[[Iterator[Any]], Iterator[Any]] = iter,
        **options: Any,
    ) -> None:
        if num_workers > 0:
            dataset = _Reporting(dataset)
            options["worker_init_fn"] = _begin
            options.setdefault("multiprocessing_context", START_METHOD)
        super().__init__(dataset, num_workers=num_workers, **options)
        self.prepare = prepare

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield batches.

        Raises:
            UotaError: a worker process raised one.
        """
        return self.prepare(self._batches())

    def _batches(self) -> Iterator[Any]:
        with hold_back_signals():
            batches = super().__iter__()
        request = current_request()
        while True:
            with request.interruptible():
                batch = next(batches, _END)
            if batch is _END:
                return
            if isinstance(batch, _Failure):
                raise UotaError(batch.sentence)
            yield batch


_END = object()


class _Failure(NamedTuple):
    """The message of a `UotaError`, which a worker sends instead of a batch; torch would send a traceback instead."""

    sentence: str


class _Reporting(Dataset[Any]):
    """A dataset that returns a `UotaError` instead of raising it."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitems__(self, indices: Sequence[Any]) -> Any:
        try:
            if hasattr(self.dataset, "__getitems__"):
                return self.dataset.__getitems__(indices)
            return [self.dataset[index] for index in indices]
        except UotaError as error:
            return _Failure(str(error))


def _begin(number: int) -> None:
    leave_signals_to_parent()
