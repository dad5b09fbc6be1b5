"""A source as torch's DataLoader reads it."""

from torch.utils.data import Dataset


class Items(Dataset):
    """The images of a source, one at a time, which workers read as in training."""

    def __init__(self, source):
        self.source = source

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        return self.source.images([index])[0]
