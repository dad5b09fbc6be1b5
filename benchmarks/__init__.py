"""Benchmarks: what takes too long for a test, one command each, with its committed results.

`make bench` or `python -m benchmarks` lists them. This must be a package, not only a folder: a dependency once
installed a package of the same name, which then was imported instead.
"""

from typing import NamedTuple


class Benchmark(NamedTuple):
    """What a benchmark shows, and how long it takes on two cores."""

    shows: str
    takes: str


# By the name in `python -m benchmarks.NAME`. The modules' docstrings say more.
BENCHMARKS = {
    "arbitration": Benchmark("time of arbitrate() compared with the released formulation", "seconds"),
    "views": Benchmark("views per second compared with lightly's SwAV transform", "15 seconds"),
    "start_up": Benchmark("time of every --help and of imports, compared with import torch", "4 minutes"),
    "scale": Benchmark("cost of arbitration as a function of its size, modelled and measured", "2 minutes"),
    "misfiled_scale": Benchmark("time and memory of uota misfiled, modelled and measured, beside others", "20 minutes"),
    "step": Benchmark("share of an arbiter in a training step; steps compared with lightly's", "20 minutes"),
    "packed": Benchmark("images per second from a folder, tar shards and a saved data set", "2 minutes"),
    "loader": Benchmark("images per second from JPEG files to a batch, by part, beside torchvision's", "10 minutes"),
    "peers": Benchmark("training end to end compared with lightly: speed, memory, time to an accuracy", "30 minutes"),
    "kill": Benchmark("that kills do not change the result of pretraining and evaluation", "5 minutes"),
    "hostile": Benchmark("how many of many invalid inputs end in a clear error", "20 minutes"),
    "eyes": Benchmark("how well an inspection finds injected views, by what it sees with", "1 hour"),
    "telling_outliers": Benchmark("how well each arbiter detects outliers, and estimates their rate", "5 minutes each"),
    "misfiled": Benchmark("how well misfiled members are found, beside methods of others", "1 hour"),
    "misfiled.strangers": Benchmark("how well members of no group are found", "2 minutes"),
    "misfiled.picture": Benchmark("what is misfiled in Open Clip Art as it is", "1 minute"),
    "demo_seeds": Benchmark("what make demo prints, for three seeds", "15 minutes"),
    "learns": Benchmark("whether every method learns, with and without arbitration", "5 hours"),
    "defaults": Benchmark("what a run with the defaults is worth on folders of pictures", "10 minutes each"),
    "worth": Benchmark("what arbitration is worth, by method, data and kind of weights", "8 hours"),
    "worth.table": Benchmark("the tables of worth and groups", "seconds"),
    "worth.page": Benchmark("the same tables as docs/worth-figures.md", "seconds"),
    "worth.picture": Benchmark("the same gains as docs/worth.png", "seconds"),
    "groups": Benchmark("what arbitration is worth for folders with misfiled files", "1 hour"),
    "refiling": Benchmark("what re-filing is worth in runs on groups with misfiled files", "5 hours"),
    "third_party_loop": Benchmark("what a ViewSampler is worth in lightly's SwAV and DINO", "1 hour"),
    "transfer": Benchmark("what a pretrained encoder is worth for boxes and masks", "40 minutes"),
    "on_device": Benchmark("everything that needs an accelerator, with one table", "9 minutes, accelerator"),
    "on_device.speed": Benchmark("part of it: trainings beside the network and lightly", "4 minutes, accelerator"),
    "on_device.recipes": Benchmark("part of it: the published recipes in full size", "3 minutes, accelerator"),
    "on_device.smoke": Benchmark("part of it: SwAV from the command line", "2 minutes, accelerator"),
    "on_device.learn": Benchmark("part of it: one run of learns", "2 minutes, accelerator"),
}
