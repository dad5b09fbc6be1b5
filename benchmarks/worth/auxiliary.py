"""A control: the learned arbiter's own contrastive loss, as a second loss of the encoder, without any weights."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from uota.arbitration.scores.contrast import cosines
from uota.arbitration.scores.learned import HIDDEN, OUTPUT, info_nce
from uota.arbitration.thumbnails import pooled
from uota.methods import Embedded
from uota.training.looks import EARLY_SIDE


class AuxiliaryContrast(nn.Module):
    """The head of `LearnedContrast` on features that are not detached."""

    def __init__(self, seed: int, temperature: float = 0.1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.temperature = temperature
        self.head = nn.Sequential(
            nn.LazyLinear(HIDDEN),
            nn.LayerNorm(HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, OUTPUT),
        )

    def forward(self, embedded: Embedded) -> Tensor:
        """InfoNCE of every view against the centres of all images."""
        early = torch.cat([pooled(maps, EARLY_SIDE) for maps in embedded.early])
        found = cosines(normalize(self.head(torch.cat([early, embedded.features], dim=-1)), dim=-1))
        return info_nce(found, self.temperature)
