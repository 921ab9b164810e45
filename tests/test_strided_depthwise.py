"""Gradients of depthwise convolutions with a stride."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.strided_depthwise import QuickGradients, _Depthwise


def gradient(conv: nn.Conv2d, x: Tensor, *, quick: bool) -> Tensor:
    """Of a fixed function of what a convolution makes of x in bfloat16."""
    leaf = x.clone().requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        if quick:
            with QuickGradients():
                out = conv(leaf)
        else:
            out = conv(leaf)
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape)
    return torch.autograd.grad((out.float() * weights).sum(), leaf)[0]


@pytest.mark.parametrize("side", [8, 9, 11])
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 5, "stride": 2, "padding": 2},
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": (3, 5), "stride": (2, 3), "padding": (0, 1)},
        {"kernel_size": 2, "stride": 4},
    ],
)
def test_gradients_are_those_of_torch(settings: dict[str, Any], side: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 4, groups=4, **settings).requires_grad_(False)
    x = torch.randn(2, 4, side, side)
    expected, found = (gradient(conv, x, quick=quick) for quick in (False, True))
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("conv", "kind", "learned"),
    [
        (nn.Conv2d(4, 4, 3, groups=4), torch.bfloat16, False),
        (nn.Conv2d(4, 4, 3, 2), torch.bfloat16, False),
        (nn.Conv2d(4, 8, 3, 2, groups=4), torch.bfloat16, False),
        (nn.Conv2d(4, 4, 3, 2, dilation=2, groups=4), torch.bfloat16, False),
        (nn.Conv2d(4, 4, 3, 2, padding=3, groups=4), torch.bfloat16, False),
        (nn.Conv2d(4, 4, 3, 2, groups=4), torch.float32, False),
        (nn.Conv2d(4, 4, 3, 2, groups=4), torch.bfloat16, True),
    ],
)
def test_other_convolutions_stay_those_of_torch(
    conv: nn.Conv2d, kind: torch.dtype, learned: bool
) -> None:
    conv.requires_grad_(learned)
    x = torch.randn(2, 4, 9, 9, requires_grad=True)
    with QuickGradients(), torch.autocast("cpu", kind, enabled=kind == torch.bfloat16):
        out = conv(x)
    assert _Depthwise.__name__ not in type(out.grad_fn).__name__


def test_a_search_copy_has_quick_gradients_and_the_same_predictions() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, 2, groups=3)
            self.out = nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(F.relu(self.conv(x)).mean((2, 3)))

    classifier = Classifier(Net(), input_shape=(3, 8, 8), bounds=(0, 1))
    copy = classifier.fast_copy()
    assert (classifier.quick, copy.quick) == (False, True)
    x = torch.rand(5, 3, 8, 8)
    torch.testing.assert_close(copy(x), classifier(x))
    leaf = x.clone().requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        assert copy(leaf).requires_grad
