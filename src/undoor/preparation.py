"""How a picture becomes a raw input of a model, without torch: what a server has to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undoor.clean_set.images import decode, decode_file
from undoor.clean_set.reading import UnreadableError
from undoor.colours import COLOUR, COLOURS, GREY, WITH_ALPHA, with_channels
from undoor.contract import Contract
from undoor.errors import UndoorError
from undoor.resizing import Resizing
from undoor.vocabulary import IMAGES

if TYPE_CHECKING:
    from undoor.classifier import Classifier

SCHEMA = "undoor/preprocessing/1"
# What a file takes: pictures, or numbers of its input shape as they are.
IMAGE, ARRAY = "image", "array"
WHITE = 255
# The order of the channels, by their number.
ORDER = {GREY: "grey", COLOUR: "rgb"}

Picture: TypeAlias = Path | bytes | Image.Image | NDArray[Any]


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes a raw input of a model, as `undoor check` prepares it.

    A picture is decoded (`undoor.clean_set.images.decode`), resized, brought to the channels of the
    model (`undoor.colours.with_channels`), and its 8-bit values v become
    ``v / 255 * (high - low) + low``. The normalisation is part of the network.

    Attributes
    ----------
    contract
        Shape, bounds and classes of the model.
    resizing
        None where the model takes no pictures but numbers of its input shape, as they are.
    scale, mean, std
        The normalisation inside the network, ``(x * scale - mean) / std``; for information.
    in_graph
        Whether the exported graph does all of this but the decoding and the channels.
    """

    contract: Contract
    resizing: Resizing | None
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    in_graph: bool = False

    @staticmethod
    def of(classifier: Classifier, *, in_graph: bool = False) -> Preparation:
        """Return the preparation of a classifier's inputs."""
        shows = classifier.space.name == IMAGES and classifier.input_shape[0] in ORDER
        return Preparation(
            Contract.of(classifier),
            classifier.resizing if shows else None,
            classifier.scale,
            tuple(classifier.mean.flatten().tolist()),
            tuple(classifier.std.flatten().tolist()),
            in_graph,
        )

    @property
    def takes_pictures(self) -> bool:
        """Whether the model takes pictures."""
        return self.resizing is not None

    def prepared(self, picture: Picture) -> NDArray[np.float32]:
        """Return a picture as a raw input [C, H, W] within the bounds.

        Parameters
        ----------
        picture
            The path of an image file, the bytes of one, an image of Pillow, or its pixels, uint8
            [H, W] (grey) or [H, W, C] with 1, 3 or 4 channels; of any size.

        Raises
        ------
        UnreadableError
            It cannot be decoded, or is a colour image and the model takes grey ones.
        UndoorError
            The model takes no pictures, or the array is none of a picture.
        """
        return self.scaled(self._decoded(picture, self._require_resizing()))

    def pixels(self, picture: Picture) -> NDArray[np.uint8]:
        """Return the pixels [H, W, C] of a picture, not resized, with the channels of the model.

        Parameters
        ----------
        picture
            As for `prepared`.

        Raises
        ------
        UnreadableError, UndoorError
            As of `prepared`.
        """
        self._require_resizing()
        return self._decoded(picture, None)

    def taken(self, picture: Picture) -> NDArray[Any]:
        """Return a picture as the file takes it.

        As `pixels` does where the graph prepares them, else as `prepared`.

        Raises
        ------
        UnreadableError, UndoorError
            As of `prepared`.
        """
        return self.pixels(picture) if self.in_graph else self.prepared(picture)

    def example(self, n: int) -> NDArray[Any]:
        """Return n inputs of the model's size without content, in the form of `taken`."""
        shape = self.contract.input_shape
        if self.in_graph:
            return np.zeros((n, *shape[1:], shape[0]), np.uint8)
        return np.full((n, *shape), self.contract.bounds[0], np.float32)

    def scaled(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return pixels [H, W, C] of the model's size as a raw input [C, H, W]."""
        low, high = self.contract.bounds
        image = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
        image /= np.float32(WHITE)
        if (low, high) != (0, 1):
            image *= np.float32(high - low)
            image += np.float32(low)
        return image

    def to_json(self) -> dict[str, Any]:
        """Return the fields as an exported file holds them."""
        network = {"scale": self.scale, "mean": list(self.mean), "std": list(self.std)}
        head = {"schema": SCHEMA, "in_graph": self.in_graph, "normalisation": network}
        if self.resizing is None:
            return {**head, "kind": ARRAY}
        first = self.resizing.first
        return {
            **head,
            "kind": IMAGE,
            "channels": ORDER[self.contract.input_shape[0]],
            "values": {"from": [0, WHITE], "to": list(self.contract.bounds)},
            "resize": {
                "size": list(self.resizing.size),
                "first": list(first) if isinstance(first, tuple) else first,
                "resample": self.resizing.resample,
            },
        }

    @staticmethod
    def from_json(data: Mapping[str, Any], contract: Contract) -> Preparation:
        """Read what `to_json` returned.

        Raises
        ------
        UndoorError
            It is of another version or kind, or contradicts itself.
        """
        try:
            return _read(data, contract)
        except (KeyError, TypeError, ValueError) as error:
            raise UndoorError(
                f"expected the preprocessing of an exported file ({SCHEMA}), got one that is "
                f"damaged or of another version ({error}); export the model again"
            ) from None

    def _require_resizing(self) -> Resizing:
        if self.resizing is None:
            shape = ", ".join(map(str, self.contract.input_shape))
            raise UndoorError(
                f"expected numbers [{shape}] of float32, got a picture: the model takes no "
                "pictures; give an array"
            )
        return self.resizing

    def _decoded(self, picture: Picture, size: Resizing | None) -> NDArray[np.uint8]:
        if isinstance(picture, np.ndarray):
            picture = _image(picture)
        decoded = decode_file(picture, size) if isinstance(picture, Path) else decode(picture, size)
        channels = self.contract.input_shape[0]
        stacked = decoded.pixels.transpose(2, 0, 1)[None]
        (image,), _ = with_channels(stacked, channels, from_bytes=True)
        if len(image) != channels:
            raise UnreadableError(
                f"a {COLOURS[len(image)]} image, and the model takes {COLOURS[channels]} ones",
                "does not fit",
            )
        return np.ascontiguousarray(image.transpose(1, 2, 0))


def _image(pixels: NDArray[Any]) -> Image.Image:
    """Return pixels [H, W] or [H, W, C] as an image of Pillow."""
    grey = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == GREY)
    colour = pixels.ndim == 3 and pixels.shape[2] in (COLOUR, WITH_ALPHA)
    if pixels.dtype != np.uint8 or not (grey or colour) or not pixels.size:
        raise UndoorError(
            "expected the pixels of a picture, uint8 [H, W] or [H, W, C] with 1, 3 or 4 channels, "
            f"got {pixels.dtype} {list(pixels.shape)}"
        )
    return Image.fromarray(pixels[:, :, 0] if grey and pixels.ndim == 3 else pixels)


def _read(data: Mapping[str, Any], contract: Contract) -> Preparation:
    if data["schema"] != SCHEMA or data["kind"] not in (IMAGE, ARRAY):
        raise ValueError(f"{data['schema']}, {data['kind']}")
    network = data["normalisation"]
    resizing = None
    if data["kind"] == IMAGE:
        if data["channels"] != ORDER.get(contract.input_shape[0]):
            raise ValueError(f"channels {data['channels']}")
        if data["values"] != {"from": [0, WHITE], "to": list(contract.bounds)}:
            raise ValueError(f"values {data['values']}")
        resizing = _resizing(data["resize"])
        if resizing.size != contract.input_shape[1:]:
            raise ValueError(f"resized to {resizing.size}, the model takes {contract.input_shape}")
    return Preparation(
        contract,
        resizing,
        float(network["scale"]),
        tuple(map(float, network["mean"])),
        tuple(map(float, network["std"])),
        bool(data["in_graph"]),
    )


def _resizing(data: Mapping[str, Any]) -> Resizing:
    height, width = data["size"]
    first = data["first"]
    if isinstance(first, list):
        tall, wide = first
        first = (int(tall), int(wide))
    return Resizing((int(height), int(width)), first, data["resample"])
