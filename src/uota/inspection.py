"""Which views of my images are outliers: from a run's arbiter, or from one that learns for some seconds."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from uota.arbitration import Arbiter, Arbitration, TwoGroups, thumbnails
from uota.config import Pretrain
from uota.data import Groups, Source, say_left_out, say_skipped
from uota.errors import UotaError
from uota.methods.embedded import Embedded, Step
from uota.misfiled import BATCH, Judged, Look, judge, judge_by_halves, refuse_few, write_files
from uota.nn.encoder import Encoder, encode
from uota.report.gallery import Row, draw_gallery
from uota.runs import Run, load_part
from uota.training.batches import GlobalBatches
from uota.training.build import build_module, decide, open_items, preset_of
from uota.training.looks import early_and_late, look
from uota.views import ViewPipeline, ViewPreset, Views, unnormalise


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        picture: where the gallery was written.
        outlier_rate: estimated; None where the arbiter estimates none.
        mean_weight: of global and of local views.
        misfiled: estimated share of files in a wrong folder; None where none were to be listed.
    """

    picture: Path
    outlier_rate: float | None
    mean_weight: list[float]
    misfiled: float | None = None


def inspect(
    out: Path,
    run: Run | None = None,
    data: str | None = None,
    views: str = "auto",
    inject: float = 0.0,
    backbone: str | None = None,
    seconds: float = 20.0,
    images: int = 8,
    seed: int = 0,
    files: Path | None = None,
) -> Inspection:
    """Draw some images and their views in descending order of weight; of groups, list the files too.

    Args:
        out: the picture, .png or whatever matplotlib writes.
        run: take its arbiter, views and data; None: an arbiter learns now, on thumbnails.
        data: where images come from; None: the run's, or demo-scenes.
        views: preset of views; auto: the run's, or by the data.
        inject: share of views taken from other images, to see whether the arbiter finds them.
        backbone: without a run, look through this timm model (random weights) instead of at thumbnails.
        seconds: how long an arbiter learns, without a run: one for the picture, and one for each half of the files.
        images: how many to draw.
        seed: of the views and of the choice of images.
        files: a CSV of every file of every group by falling outlier probability; None: none.

    Raises:
        UotaError: there is no such run or source, or files are to be listed that lie in no groups.
    """
    settings = run.settings() if run else Pretrain()
    settings = replace(settings, views=settings.views if views == "auto" else views, data=data or settings.data)
    source = open_items(settings.data, settings.views, "train" if files is None else None)
    if files is not None and not isinstance(source, Groups):
        raise UotaError("files are listed by the group that they lie in; add --views groups, or leave --files out")
    settings = decide(settings, source)
    say_left_out(source)
    preset = preset_of(settings)
    stream = _Stream(source, ViewPipeline(preset, seed, inject, settings.inject_from), seed)
    if run:
        arbiter, see = _from_run(run, files is not None)
    else:
        see = _untrained_eyes(backbone, preset)
        arbiter = _learned_now(stream, see, seconds)
    shown = stream.next()
    verdict = arbiter.eval()(see(shown))
    misfiled = None
    if files is not None and isinstance(source, Groups):
        judged = _judged(source, ViewPipeline(preset, seed), arbiter if run else None, see, seconds)
        write_files(judged, source, files)
        misfiled = float(judged.probability.mean())
    say_skipped(source)
    draw_gallery(_rows(source, shown, verdict, preset, images), _title(source, verdict, run), out)
    sizes = [len(group) for group in shown.groups]
    means = [float(part.mean()) for part in verdict.weights.split(sizes)]
    return Inspection(out, verdict.outlier_rate, means, misfiled)


class _Stream:
    """Batches of views without end."""

    def __init__(self, source: Source, pipeline: ViewPipeline, seed: int) -> None:
        self.source = source
        self.pipeline = pipeline
        self.step = 0
        self.batches = GlobalBatches(len(source), BATCH, seed, 0, 1, lambda: self.step)

    def next(self) -> Views:
        samples = next(iter(self.batches))
        self.step += 1
        return self.pipeline(self.source, samples)


def _from_run(run: Run, probabilities: bool) -> tuple[Arbiter, Look]:
    """The arbiter and the eyes of a run, as its checkpoint left them: what weighed; or what chose among candidates; or
    two groups on embeddings, also where the arbiter does not give the probabilities asked for."""
    settings = run.settings()
    module = build_module(settings, total_steps=1)
    load_part(module, run)
    method = module.method.eval()
    arbiter, looks_at = module.judge()
    if arbiter is None or (probabilities and not isinstance(arbiter.strength, TwoGroups)):
        arbiter, looks_at = Arbiter("two_groups"), "embeddings"

    @torch.no_grad()
    def see(views: Views) -> Tensor:
        return look(looks_at, method.embed(views.groups, Step()))

    return arbiter, see


def _untrained_eyes(backbone: str | None, preset: ViewPreset) -> Look:
    """Thumbnails, or an encoder that nobody trained."""
    encoder = Encoder(backbone, preset.channels, preset.groups[0].size).eval() if backbone else None

    @torch.no_grad()
    def see(views: Views) -> Tensor:
        if encoder is None:
            return thumbnails(views.groups)
        features, early = encode(encoder, views.groups)
        return early_and_late(Embedded(features, features, early, views.groups))

    return see


def _learned_now(stream: _Stream, see: Look, seconds: float) -> Arbiter:
    """An arbiter that learned for some seconds."""
    arbiter = Arbiter("learned")
    columns = (TextColumn("the arbiter learns"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=seconds)
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            arbiter(see(stream.next()))
            progress.update(task, completed=elapsed)
    return arbiter


def _judged(groups: Groups, pipeline: ViewPipeline, arbiter: Arbiter | None, see: Look, seconds: float) -> Judged:
    """All files, by a run's arbiter, or by two that learn on half of the groups each."""
    if arbiter is not None:
        refuse_few(groups, 3)
        return judge(groups, pipeline, arbiter.score, see)
    refuse_few(groups, 6)
    return judge_by_halves(
        groups,
        pipeline,
        lambda half: _learned_now(_Stream(half, pipeline, pipeline.seed), see, seconds).score,
        see,
    )


def _rows(source: Source, shown: Views, verdict: Arbitration, preset: ViewPreset, count: int) -> list[Row]:
    """The first images of the batch, with their views as a person sees them; of a group, its best view's image."""
    pictures = [unnormalise(group, preset.mean, preset.std).cpu() for group in shown.groups]
    rows = []
    images = shown.index
    if isinstance(source, Groups):
        best = verdict.weights.argmax(0).cpu()
        images = shown.parameters.image[best, torch.arange(len(best))]
    for place, image in enumerate(source.images(images[:count].tolist())):
        views = [view[place] for group in pictures for view in group]
        wrong = None if shown.wrong is None else shown.wrong[:, place]
        rows.append(Row(image, views, verdict.weights[:, place].cpu(), wrong))
    return rows


def _title(source: Source, verdict: Arbitration, run: Run | None) -> str:
    who = f"run {run.folder.name}" if run else "an arbiter that learned on these images just now"
    title = f"{source.name}, weighed by {who}: image (red frame), views by weight (1 is the mean)"
    if verdict.outlier_rate is None:
        return title
    return f"{title}; estimated share of outlier views {100 * verdict.outlier_rate:.0f} %"
