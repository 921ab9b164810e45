"""Refuse configurations that name other files.

Libraries hand parts of a configuration to whatever builds the network, which may take weights from
a path (`model_args.checkpoint_path` goes to timm, which unpickles it) or from the hub.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from undoor.errors import UndoorError

# Refused whatever they hold, unless that is nothing: they name weights, or ask for others.
LOADING = frozenset({
    "checkpoint_path", "pretrained", "pretrained_cfg_overlay", "cache_dir", "gguf_file",
    "transformers_weights", "use_pretrained_backbone", "custom_load", "state_dict", "hf_hub_id",
    "hf_hub_filename", "url", "file",
})  # fmt: skip
# Texts that only people read; no library opens what they name.
READ_BY_PEOPLE = frozenset({
    "id2label", "label2id", "label_names", "label_descriptions", "_name_or_path", "license",
    "origin_url", "paper_ids", "paper_name", "notes", "tags", "tag", "description",
})  # fmt: skip
# A path, an address, a name on a hub, or a file of weights or code.
PATH = re.compile(r"[/\\:~]|\.(bin|ckpt|gguf|h5|onnx|pkl|pickle|pt|pth|py|safetensors|so)$", re.I)
MAX_DEPTH = 20


def require_no_paths(config: Mapping[str, Any], source: object) -> None:
    """Refuse a configuration that names other files, by path, address or name on a hub.

    Parameters
    ----------
    config
        The configuration, as JSON or TOML has it.
    source
        What it is called in the message.

    Raises
    ------
    UndoorError
        A key may be used to open another file, or holds what looks like a path.
    """
    for key, value in _entries(config, "", 0):
        name = key.rpartition(".")[2]
        if (name in LOADING and value) or (isinstance(value, str) and PATH.search(value)):
            shown = " ".join(key.split())
            raise UndoorError(
                f"{source}: {shown} is {str(value)[:80]!r}; expected a configuration that names no "
                f"other file, since a model is opened from its own weights alone; remove {shown}"
            )


def _entries(value: Any, key: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield keys with dots and their values, without those that only people read."""
    if depth > MAX_DEPTH:
        raise UndoorError(f"{key[:80]}... is nested more than {MAX_DEPTH} deep; copy it again")
    yield key, value
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in READ_BY_PEOPLE:
                yield from _entries(inner, f"{key}.{name}".lstrip("."), depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _entries(inner, key, depth + 1)
