"""A control: the learned arbiter's contrastive loss as a second loss of the encoder, without any weights.

The centres are plain means, since means that count doubtful views less would be weighted.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, normalize

from uota.arbitration.scores.contrast import cosines
from uota.arbitration.scores.learned import HIDDEN, OUTPUT, info_nce
from uota.arbitration.thumbnails import pooled
from uota.encoders.encoder import EARLY_SIDE
from uota.methods import Embedded


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
        """Compute InfoNCE of every view against the centres of all images."""
        early = torch.cat([pooled(maps, EARLY_SIDE) for maps in embedded.early])
        looked_at = torch.cat([early, embedded.features], dim=-1)
        # The head's first norm; its scale and shift are the linear layer's.
        looked_at = layer_norm(looked_at, looked_at.shape[-1:])
        found = cosines(normalize(self.head(looked_at), dim=-1), doubt=0.0)
        return info_nce(found, self.temperature)
