"""The embedded MNIST images, unpacked by another program than gpu-train.

assets/README.md describes the format; the checksums are those of the original files.
"""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SHA256 = {
    "train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "t10k": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
}
LEVEL = [(x >= 1) + (x >= 64) + (x >= 252) for x in range(256)]


def unpack_block(raw, images):
    """Fills images [n, rows, cols], which are all 0, from an inflated block."""
    n = len(images)
    boxes = np.frombuffer(raw, np.uint8, 4 * n).reshape(4, n).T.tolist()
    lengths = np.frombuffer(raw, "<u4", 256, 4 * n).tolist()
    streams, at = [], 4 * n + 4 * 256
    for length in lengths:
        streams.append(iter(raw[at:at + length]))
        at += length
    assert at == len(raw)
    for image, (top, left, height, width) in zip(images, boxes):
        above = [0] * (width + 2)
        for y in range(top, top + height):
            row, west, north_west = [], 0, 0
            for x in range(width):
                north, north_east = above[x + 1], above[x + 2]
                value = next(streams[west << 6 | north << 4 | north_east << 2 | north_west])
                row.append(value)
                west, north_west = LEVEL[value], north
                above[x + 1] = west
            image[y, left:left + width] = row


def idx_images(part):
    """The original IDX file of "train" or "t10k" images: 16 bytes of header, then the pixels."""
    packed = (ASSETS / f"{part}-images-idx3-ubyte.pack").read_bytes()
    header = packed[4:20]
    _, count, rows, cols = struct.unpack(">4I", header)
    per_block, at = struct.unpack_from("<I", packed, 20)[0], 24
    images = np.zeros((count, rows, cols), np.uint8)
    for first in range(0, count, per_block):
        length, = struct.unpack_from("<I", packed, at)
        raw = zlib.decompress(packed[at + 4:at + 4 + length])
        unpack_block(raw, images[first:first + per_block])
        at += 4 + length
    original = header + images.tobytes()
    assert hashlib.sha256(original).hexdigest() == SHA256[part]
    return original


def idx_labels(part):
    """The original IDX file of labels: 8 bytes of header, then a byte a label."""
    return gzip.decompress((ASSETS / f"{part}-labels-idx1-ubyte.gz").read_bytes())


def test_part():
    """Images [10000, 28, 28] as u8, and labels [10000]."""
    images = np.frombuffer(idx_images("t10k"), np.uint8, offset=16).reshape(-1, 28, 28)
    return images, np.frombuffer(idx_labels("t10k"), np.uint8, offset=8)
