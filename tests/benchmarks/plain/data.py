"""CamVid as a torch Dataset whose items are decoded one by one."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

VOID = 11  # as the files have it
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class CamVid(Dataset[tuple[Tensor, Tensor]]):
    """One split of the folder `CamVid`.

    Args:
        folder: holds `train/`, `trainannot/` and so on.
        split: train, val or test.
        size: (height, width) to resize to; none: as it is.
        normalize: images as float32 (3, H, W), normalized, and labels as int64; else both as they were
            decoded, uint8 (H, W, 3) and (H, W).
    """

    def __init__(self, folder: Path, split: str, size: tuple[int, int] | None = None, normalize: bool = True) -> None:
        self.images = sorted((folder / split).glob("*.png"))
        self.labels = sorted((folder / f"{split}annot").glob("*.png"))
        self.size = size
        self.normalize = normalize
        self.mean = torch.tensor(MEAN).view(3, 1, 1)
        self.std = torch.tensor(STD).view(3, 1, 1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = Image.open(self.images[index]).convert("RGB")
        label: Image.Image = Image.open(self.labels[index])
        if self.size is not None:
            height, width = self.size
            image = image.resize((width, height), Image.Resampling.BILINEAR)
            label = label.resize((width, height), Image.Resampling.NEAREST)
        pixels, classes = torch.from_numpy(np.array(image)), torch.from_numpy(np.array(label))
        if not self.normalize:
            return pixels, classes
        scaled = pixels.permute(2, 0, 1).float() / 255
        return (scaled - self.mean) / self.std, classes.long()


def loader(dataset: CamVid, batch: int, workers: int) -> "DataLoader[tuple[Tensor, Tensor]]":
    """Shuffled batches, decoded by so many worker processes; 0: by this one."""
    return DataLoader(dataset, batch_size=batch, shuffle=True, num_workers=workers)
