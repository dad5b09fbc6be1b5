"""torch's DataLoader as every part of the package wants it: its processes leave signals and errors to their parent."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, Dataset

from uota.errors import UotaError
from uota.training.signals import current_request, hold_back_signals, leave_signals_to_parent

# How torch's message begins when a loading process has died.
DEAD_PROCESS = "DataLoader worker"
# Python's own choice on Linux until 3.13. Forked processes share their parent's memory, so that the images that they
# cache and the files that they find unreadable are known to all of them; those of a fork server, from 3.14 on, do not.
START_METHOD = "fork" if sys.platform == "linux" else None


class Loader(DataLoader[Any]):
    """Batches that datasets make at once, in processes where `num_workers` says so.

    A `UotaError` of a loading process is raised here as it was there. While a batch is waited for, a request to stop
    need not wait.

    Args:
        dataset: makes a batch of a list of indices, or an item of an index.
        num_workers: processes.
        options: of torch's DataLoader.
    """

    def __init__(self, dataset: Dataset[Any], num_workers: int, **options: Any) -> None:
        if num_workers > 0:
            dataset = _Reporting(dataset)
            options["worker_init_fn"] = _begin
            options.setdefault("multiprocessing_context", START_METHOD)
        super().__init__(dataset, num_workers=num_workers, **options)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Raises UotaError: a loading process did."""
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
    """What a loading process sends in place of a batch. torch would send a traceback in the message of an exception."""

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
