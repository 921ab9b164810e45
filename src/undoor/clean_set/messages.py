"""Messages of Arrow streams, which are FlatBuffers: whether their buffers are compressed."""

from __future__ import annotations

import struct

# Of Message: kind and place of the header. Of a batch: how it is compressed. Of a dictionary: the
# batch in it.
KIND, HEADER, COMPRESSION, DATA = 1, 2, 3, 1
DICTIONARY, BATCH = 2, 3


def is_compressed(message: memoryview) -> bool:
    """Return whether the buffers behind a message are compressed.

    Parameters
    ----------
    message
        The metadata of the message.

    Raises
    ------
    ValueError
        It is damaged.
    """
    try:
        root = _follow(message, 0)
        kind, header = _field(message, root, KIND), _field(message, root, HEADER)
        if kind is None or header is None or message[kind] not in (DICTIONARY, BATCH):
            return False
        batch = _follow(message, header)
        if message[kind] == DICTIONARY:
            data = _field(message, batch, DATA)
            if data is None:
                return False
            batch = _follow(message, data)
        return _field(message, batch, COMPRESSION) is not None
    except (struct.error, IndexError) as error:
        raise ValueError("a damaged message") from error


def _follow(message: memoryview, place: int) -> int:
    return place + int(struct.unpack_from("<I", message, place)[0])


def _field(message: memoryview, table: int, number: int) -> int | None:
    """Return where a field of a table stands; None where it is left out."""
    index = table - struct.unpack_from("<i", message, table)[0]
    if index < 0:
        raise IndexError("a table without fields")
    size = struct.unpack_from("<H", message, index)[0]
    entry = 4 + 2 * number
    offset = struct.unpack_from("<H", message, index + entry)[0] if entry < size else 0
    return table + offset if offset else None
