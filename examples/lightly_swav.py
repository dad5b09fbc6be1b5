"""lightly's SwAV with its modules and loss unchanged, on views selected by uota: python examples/lightly_swav.py FOLDER

The numbered lines are the only additions. FOLDER has one sub-folder per class, as ImageFolder requires.
"""

import sys

import torch
from lightly.loss import SwaVLoss
from lightly.models.modules import SwaVProjectionHead, SwaVPrototypes
from lightly.transforms.swav_transform import SwaVTransform
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18

import uota  # 1


class SwaV(nn.Module):
    """SwAV as in lightly's examples/pytorch/swav.py."""

    def __init__(
        self, backbone: nn.Module, width: int, hidden: int = 512, dim: int = 128, prototypes: int = 512
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection_head = SwaVProjectionHead(width, hidden, dim)
        self.prototypes = SwaVPrototypes(dim, n_prototypes=prototypes)
        self.criterion = SwaVLoss()

    def forward(self, x: Tensor) -> Tensor:
        """Return the similarities of views to the prototypes."""
        x = self.projection_head(self.backbone(x).flatten(start_dim=1))
        return self.prototypes(nn.functional.normalize(x, dim=1, p=2))

    def loss(self, views: list[Tensor]) -> Tensor:
        """Compute the loss of SwAV, where the first two views are global."""
        self.prototypes.normalize()
        scores = [self(view) for view in views]
        return self.criterion(scores[:2], scores[2:])


def main(folder: str, sizes: tuple[int, int] = (224, 96), epochs: int = 10, batch_size: int = 128) -> SwaV:
    backbone = resnet18()
    backbone.fc = nn.Identity()
    model = SwaV(backbone, 512)
    transform = SwaVTransform(crop_sizes=sizes, crop_counts=(4, 12))  # twice the usual number of views
    loader = DataLoader(ImageFolder(folder, transform), batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    sampler = uota.ViewSampler(keep=[2, 6])  # 2
    for epoch in range(epochs):
        total = 0.0
        for views, _ in loader:
            large, small = sampler([torch.stack(views[:4]), torch.stack(views[4:])]).by_size  # 3
            loss = model.loss([*large, *small])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}: loss {total / len(loader):.3f}")
    return model


if __name__ == "__main__":
    main(sys.argv[1])
