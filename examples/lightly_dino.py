"""lightly's DINO with its modules and loss unchanged, on views selected by uota: python examples/lightly_dino.py FOLDER

The numbered lines are the only additions. FOLDER has one sub-folder per class, as ImageFolder requires.
"""

import sys
from copy import deepcopy

import torch
from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.transforms.dino_transform import DINOTransform
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import Lambda

import uota  # 1


class DINO(nn.Module):
    """DINO as in lightly's examples/pytorch/dino.py."""

    def __init__(self, backbone: nn.Module, width: int, hidden: int = 512, dim: int = 64, outputs: int = 2048) -> None:
        super().__init__()
        self.backbone = backbone
        self.student_head = DINOProjectionHead(width, hidden, dim, outputs, freeze_last_layer=1)
        self.teacher_backbone = deepcopy(backbone)
        self.teacher_head = DINOProjectionHead(width, hidden, dim, outputs)
        deactivate_requires_grad(self.teacher_backbone)
        deactivate_requires_grad(self.teacher_head)
        self.criterion = DINOLoss(output_dim=outputs, warmup_teacher_temp_epochs=5)

    def loss(self, views: list[Tensor], momentum: float, epoch: int) -> Tensor:
        """Compute the loss of DINO, where the first two views are global."""
        update_momentum(self.backbone, self.teacher_backbone, m=momentum)
        update_momentum(self.student_head, self.teacher_head, m=momentum)
        with torch.no_grad():
            teacher = [self.teacher_head(self.teacher_backbone(view).flatten(start_dim=1)) for view in views[:2]]
        student = [self.student_head(self.backbone(view).flatten(start_dim=1)) for view in views]
        return self.criterion(teacher, student, epoch=epoch)


def main(folder: str, sizes: tuple[int, int] = (224, 96), epochs: int = 10, batch_size: int = 64) -> DINO:
    backbone = resnet18()
    backbone.fc = nn.Identity()
    model = DINO(backbone, 512)
    transform = DINOTransform(global_crop_size=sizes[0], local_crop_size=sizes[1])
    twice = Lambda(lambda image: transform(image) + transform(image))  # 2 global and 6 local views, twice
    loader = DataLoader(ImageFolder(folder, twice), batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    sampler = uota.ViewSampler(keep=[2, 6])  # 2
    for epoch in range(epochs):
        momentum, total = cosine_schedule(epoch, epochs, 0.996, 1), 0.0
        for views, _ in loader:
            candidates = [torch.stack(views[:2] + views[8:10]), torch.stack(views[2:8] + views[10:])]
            large, small = sampler(candidates).by_size  # 3
            loss = model.loss([*large, *small], momentum, epoch)
            loss.backward()
            model.student_head.cancel_last_layer_gradients(current_epoch=epoch)
            optimizer.step()
            optimizer.zero_grad()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}: loss {total / len(loader):.3f}")
    return model


if __name__ == "__main__":
    main(sys.argv[1])
