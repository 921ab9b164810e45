"""Configurations that reach for other files."""

from __future__ import annotations

from typing import Any

import pytest

from undoor.errors import UndoorError
from undoor.load.config_paths import require_no_paths

# As timm's save_for_hf and Transformers' save_pretrained write them.
TIMM = {
    "architecture": "resnet50.a1_in1k", "num_classes": 2, "label_names": ["n/a", "T-shirt/top"],
    "pretrained_cfg": {
        "tag": "a1_in1k", "custom_load": False, "input_size": [3, 224, 224], "crop_pct": 0.95,
        "interpolation": "bicubic", "first_conv": "conv1", "classifier": "fc",
        "license": "apache-2.0", "paper_ids": "arXiv:2110.00476",
        "origin_url": "https://github.com/huggingface/pytorch-image-models",
    },
}  # fmt: skip
TRANSFORMERS = {
    "_name_or_path": "google/vit-base-patch16-224", "architectures": ["ViTForImageClassification"],
    "hidden_act": "gelu", "id2label": {"0": "a/b", "1": "file.bin"}, "label2id": {"a/b": 0},
    "torch_dtype": "float32", "transformers_version": "4.52.0.dev0", "pretrained": False,
}  # fmt: skip


@pytest.mark.parametrize("config", [TIMM, TRANSFORMERS, {}])
def test_usual_ones_pass(config: dict[str, Any]) -> None:
    require_no_paths(config, "config.json")


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"model_args": {"checkpoint_path": "weights"}}, "model_args.checkpoint_path"),
        ({"model_args": {"pretrained": True}}, "model_args.pretrained"),
        ({"pretrained_cfg": {"file": "other"}}, "pretrained_cfg.file"),
        ({"pretrained_cfg": {"url": "https://evil"}}, "pretrained_cfg.url"),
        ({"pretrained_cfg": {"hf_hub_id": "timm/resnet50"}}, "pretrained_cfg.hf_hub_id"),
        ({"architecture": "hf_hub:evil/net"}, "architecture"),
        ({"architecture": "local-dir:here"}, "architecture"),
        ({"anything": ["a", {"b": "/etc/passwd"}]}, "anything.b"),
        ({"anything": "weights.PTH"}, "anything"),
        ({"anything": "~root"}, "anything"),
        ({"backbone": "microsoft/resnet-50"}, "backbone"),
    ],
)
def test_whatever_leads_elsewhere_is_named(config: dict[str, Any], key: str) -> None:
    with pytest.raises(UndoorError, match=rf"config.json: {key} is .* remove {key}$") as error:
        require_no_paths(config, "config.json")
    assert "\n" not in str(error.value)


def test_nesting() -> None:
    config: dict[str, Any] = {}
    for _ in range(500):
        config = {"a": config}
    with pytest.raises(UndoorError, match="nested more than 20 deep"):
        require_no_paths(config, "config.json")
