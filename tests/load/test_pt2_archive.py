"""Archives of torch.export: what PyTorch would unpickle in them is a breach."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from helpers.hostile import archived
from undoor.errors import UndoorError
from undoor.load.check import examine, require_safe

HOSTILE = {name: data for name, data in archived.make("true").items() if name.startswith("pt2_")}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.shift: torch.Tensor
        self.register_buffer("shift", torch.ones(3))
        self.constant = torch.ones(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x * self.shift + self.constant)


def test_what_torch_writes_passes(tmp_path: Path) -> None:
    file = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(Net(), (torch.zeros(2, 3),)), file)
    safety = examine(file)
    assert (safety.format, safety.breaches) == ("torch.export archive", ())
    with pytest.raises(UndoorError, match=r"torch.export archive, not a checkpoint"):
        require_safe(file)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pt2_pickled.pt2", "'w' unpickled when it is opened"),
        ("pt2_truthy.pt2", "'w' unpickled when it is opened"),
        ("pt2_outside.pt2", "not a tensor in it"),
        ("pt2_custom.pt2", "no part of an exported program"),
        ("pt2_opaque.pt2", "no part of an exported program"),
        ("pt2_inputs.pt2", "it is not part of a state dict"),
        ("pt2_native.pt2", "no part of an exported program"),
        ("pt2_old.pt2", "not in the current format of torch.export.save"),
    ],
)
def test_hostile_archives(tmp_path: Path, name: str, why: str) -> None:
    file = tmp_path / name
    file.write_bytes(HOSTILE[name])
    assert why in " ".join(breach.why for breach in examine(file).breaches)


def test_lists_of_weights_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "m.pt2"
    for config, message in ((b"[]", "not what torch.export.save"), (b"{", "is not readable JSON")):
        name = "m/data/weights/model_weights_config.json"
        file.write_bytes(archived.zipped([("m/archive_format", b"pt2"), (name, config)]))
        with pytest.raises(UndoorError, match=message):
            require_safe(file)
