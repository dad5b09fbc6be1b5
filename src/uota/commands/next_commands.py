"""What can be done with a run once it is trained."""

import shlex

from uota.console import printable
from uota.evaluation.evaluate import protocols_for
from uota.methods.own import method_flag
from uota.runs.export import libraries_for
from uota.runs.run import Run
from uota.settings.evaluation import EncoderSpec


def next_commands(run: Run) -> list[str]:
    """Return the commands that work on a run: those that need labels or a library's network only if it has them.

    Raises:
        UotaError: the run has no checkpoint.
    """
    folder, flag = shlex.quote(printable(run.folder)), method_flag(run.settings().method.name)
    library, *_ = [*libraries_for(EncoderSpec(str(run.folder))), "safetensors"]
    suffix = "safetensors" if library == "safetensors" else "pth"
    return [
        f"uota inspect {folder}{flag}",
        *(f"uota evaluate {protocol} {folder}{flag}" for protocol in protocols_for(run)),
        f"uota embed {folder} --out embeddings.csv{flag}",
        f"uota export {folder} --to {library} --out encoder.{suffix}{flag}",
    ]
