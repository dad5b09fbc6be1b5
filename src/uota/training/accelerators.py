"""Check of the requested accelerator, made before anything is loaded or trained."""

from pytorch_lightning.accelerators import AcceleratorRegistry

from uota.errors import UotaError

# Lightning's names for any available accelerator.
ANY = ("auto", "gpu")


def check_accelerator(name: str, devices: int) -> None:
    """Check that an accelerator exists and is available with enough devices.

    Raises:
        UotaError: it does not exist, is not available, or has too few devices.
    """
    known = [*ANY, *AcceleratorRegistry.available_accelerators()]
    if name not in known:
        raise UotaError(f"there is no accelerator {name!r}; choose one of {', '.join(dict.fromkeys(known))}")
    if name in ("auto", "cpu"):
        return
    names = ("cuda", "mps") if name == "gpu" else (name,)
    counts = [_count(each) for each in names if each in known]
    if not any(counts):
        raise UotaError(f"accelerator {name!r} is not available on this machine; choose auto or cpu")
    if max(counts) < devices:
        raise UotaError(f"devices is {devices}, but this machine has {max(counts)} of {name}; give fewer")


def check_precision(precision: str, accelerator: str) -> None:
    """Check that the accelerator computes in a precision as it is meant.

    Raises:
        UotaError: it does not; Lightning would use bfloat16 instead, or scale nothing.
    """
    if precision == "fp16" and not (accelerator in (*ANY, "cuda") and _count("cuda")):
        raise UotaError(f"precision is fp16, which needs an NVIDIA GPU, and accelerator is {accelerator}; choose bf16")


def count_devices(name: str) -> int:
    """Return the number of available devices of an accelerator, or 1 where it is the CPU."""
    names = ("cuda", "mps") if name in ANY else (name,)
    known = AcceleratorRegistry.available_accelerators()
    return max([1, *(_count(each) for each in names if each in known and each != "cpu")])


def _count(name: str) -> int:
    """Return the number of available devices of a kind."""
    try:
        accelerator = AcceleratorRegistry.get(name)
    except ImportError:  # its dependencies are not installed
        return 0
    return accelerator.auto_device_count() if accelerator.is_available() else 0
