"""Networks in files of torch.export and TorchScript that do more than compute."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SHAPE = (1, 2, 2)
Edit = Callable[[dict[str, Any]], None]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1)) + torch.zeros(3)


def program() -> bytes:
    """A harmless archive of torch.export."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = ({0: torch.export.Dim("batch", min=1)},)
        made = torch.export.export(Net(), (torch.rand(2, *SHAPE),), dynamic_shapes=axes)
        torch.export.save(made, stream)
    return stream.getvalue()


def script() -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Net()), stream)
    return stream.getvalue()


def rewritten(data: bytes, ending: str, change: Callable[[bytes], bytes]) -> bytes:
    """The archive with the members of this ending changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(ending):
                content = change(content)
            new.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def edited(data: bytes, edit: Edit) -> bytes:
    """The program with its description changed."""

    def change(text: bytes) -> bytes:
        document = json.loads(text)
        edit(document)
        return json.dumps(document).encode()

    return rewritten(data, "models/model.json", change)


def renamed(old: str, new: str) -> Edit:
    """One text for another, wherever the description has it."""

    def edit(document: dict[str, Any]) -> None:
        text = json.dumps(document)
        assert json.dumps(old) in text
        document |= json.loads(text.replace(json.dumps(old), json.dumps(new)))

    return edit


def expression(code: str) -> Edit:
    return renamed("Symbol('s77', positive=True, integer=True)", code)


def called(target: str, **arguments: dict[str, Any]) -> Edit:
    """Another function in the place of the one that makes zeros."""

    def edit(document: dict[str, Any]) -> None:
        nodes = document["graph_module"]["graph"]["nodes"]
        node = next(node for node in nodes if "zeros" in node["target"])
        inputs = [{"name": name, "arg": arg, "kind": 1} for name, arg in arguments.items()]
        node |= {"target": target, "inputs": inputs}

    return edit


def argument_names(name: str) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        for entry in document["graph_module"]["module_call_graph"]:
            if entry["signature"]:
                entry["signature"]["forward_arg_names"] = [name]

    return edit


def said(line: str) -> bytes:
    """The script with a line in front of its forward."""
    head = b"x: Tensor) -> Tensor:\n"
    more = head + line.encode() + b"\n"
    return rewritten(script(), "/graphs.py", lambda code: code.replace(head, more, 1))


def programs(command: str) -> dict[str, bytes]:
    good = program()
    path = command.rpartition(" ")[2]
    code = f"__import__('os').system({command!r})"
    from_file = called(
        "torch.ops.aten.from_file.default",
        filename={"as_string": path},
        shared={"as_bool": True},
        size={"as_int": 3},
    )
    return {
        "pt2_expression.pt2": edited(good, expression(code)),
        "pt2_input_name.pt2": edited(good, renamed("x", f"x={code}")),
        "pt2_argument_name.pt2": edited(good, argument_names(f"x={code}")),
        "pt2_from_file.pt2": edited(good, from_file),
        "pt2_system.pt2": edited(good, called("torch.os.system", command={"as_string": command})),
        "pt2_power.pt2": edited(good, expression("9**9**9**9")),
    }


def scripts(command: str) -> dict[str, bytes]:
    path = command.rpartition(" ")[2]
    return {
        "script_save.pt": said(f'    torch.save(x, "{path}")'),
        "script_alias.pt": said(f'    t = torch\n    t.save(x, "{path}")'),
        "script_blank.pt": said(f'    torch . save(x, "{path}")'),
        "script_ops.pt": said(f'    ops . aten . save(x, "{path}")'),
        "script_ops_alias.pt": said(f'    o = ops.aten\n    o.save(x, "{path}")'),
        "script_comment.pt": said(f'    (torch.  # of images\n    save)(x, "{path}")'),
    }


def make(command: str) -> dict[str, bytes]:
    return programs(command) | scripts(command)


def write_all(folder: Path, command: str) -> list[Path]:
    made = []
    for name, data in make(command).items():
        (folder / name).write_bytes(data)
        made.append(folder / name)
    return made
