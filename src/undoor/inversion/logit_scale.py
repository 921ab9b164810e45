"""Logits of one scale, whatever the temperature of a model, and flat scores."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from undoor.black_boxes import black_box_in
from undoor.classifier import Classifier
from undoor.device import precise

# The median clean scale of the models that the nulls were learned from (3.9; 2.7 to 5.5).
REFERENCE = 4.0
MAX_IMAGES = 256
# Images that gradients are looked at for, and other classes of each; the share of these pairs that
# may be flat.
GRADIENT_IMAGES = 48
OTHERS = 4
MAX_FLAT = 0.25
SEED = 0


def standardised(classifier: Classifier, images: Tensor) -> Classifier:
    """Scale the logits of a classifier as the searches are tuned for.

    Weights are shared.

    Cross-entropy weighs a logit by its size, and `softmax` behind logits of a thousandth or a
    thousand times the usual size is flat or saturated: nothing would be found in such a network.
    Predictions stay as they are.

    Parameters
    ----------
    classifier
        Model with any temperature.
    images
        Clean inputs [N, ...], of which up to 256 are used.

    Returns
    -------
    Classifier
        A shallow copy with another `gain`; the same gain where all logits of each input agree.
    """
    bare = classifier.with_gain(1.0)
    scale = classifier.task.spread(bare.logits(_some(images, MAX_IMAGES), MAX_IMAGES))
    return classifier.with_gain(REFERENCE / scale) if scale else classifier


def flat_share(classifier: Classifier, images: Tensor) -> float | None:
    """Return for which share of the images gradients lead to no other class.

    So it is behind a saturated or stepped output. By its gradient at an input, the lead of the
    predicted class over another one would be lost at a distance lead / |gradient|. Where that is
    more than the bounds are apart, the gradient is of no use. In the networks of the benchmark it
    is at most a fifth of that.

    Parameters
    ----------
    classifier
        Model that passes gradients to its input.
    images
        Clean inputs [N, ...], of which up to 48 are used.

    Returns
    -------
    float or None
        In [0, 1]; None where gradients are as they should be.
    """
    # Tokens are tried; how far apart they are means nothing. Black boxes have no gradients.
    if classifier.space.discrete or black_box_in(classifier) is not None:
        return None
    x = _some(images, GRADIENT_IMAGES)
    share = float((_distances(classifier, x) > _diameter(classifier)).float().mean())
    return share if share > MAX_FLAT else None


def _distances(classifier: Classifier, images: Tensor) -> Tensor:
    """Return how far away each input would lose its class to others drawn at random [4 N]."""
    out = []
    generator = torch.Generator().manual_seed(SEED)
    limit = classifier.capacity.learning if classifier.capacity else len(images)
    for batch in (*images.split(max(1, limit)),) * OTHERS:
        x = batch.clone().requires_grad_()
        lead = classifier.task.drawn_lead(classifier(x), generator)
        (gradient,) = torch.autograd.grad(lead.sum(), x)
        steepness = precise(gradient).flatten(1).norm(dim=1)
        distance = precise(lead.detach()) / steepness
        out.append(torch.where(steepness > 0, distance, math.inf))
    return torch.cat(out)


def _diameter(classifier: Classifier) -> float:
    """Return the distance between the two corners of the box of all inputs."""
    low, high = classifier.bounds
    return (high - low) * math.sqrt(math.prod(classifier.input_shape))


def _some(images: Tensor, limit: int) -> Tensor:
    """Return at most `limit` images, evenly spaced."""
    return images[:: max(1, math.ceil(len(images) / limit))]
