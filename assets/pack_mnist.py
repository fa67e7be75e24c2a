"""Packs the four MNIST files for embedding. README.md next to this file describes the format.

    pip install numpy==2.4.6 zopfli==0.4.3
    python pack_mnist.py FOLDER_WITH_THE_ORIGINAL_GZ_FILES [OUTPUT_FOLDER]

The same originals and the same zopfli version give the same bytes. Takes about a minute on two cores.
"""

import gzip
import hashlib
import struct
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import zopfli.gzip
import zopfli.zlib

# SHA-256 of the unpacked originals: other input is refused.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
IMAGES_PER_BLOCK = 5000
# A pixel's level is the number of these it reaches. src/data/pack.rs has the same list.
LEVELS = (1, 64, 252)
ITERATIONS = 15


def pack_block(images):
    """[n, rows, cols] u8 -> one zlib stream: boxes, stream lengths, pixels by context."""
    n, rows, cols = images.shape
    inked_rows = (images > 0).any(axis=2)
    inked_cols = (images > 0).any(axis=1)

    def span(inked, size):
        first = inked.argmax(axis=1)
        length = size - inked[:, ::-1].argmax(axis=1) - first
        blank = ~inked.any(axis=1)
        return np.where(blank, 0, first), np.where(blank, 0, length)

    top, height = span(inked_rows, rows)
    left, width = span(inked_cols, cols)
    y, x = np.arange(rows), np.arange(cols)
    in_rows = (y >= top[:, None]) & (y < (top + height)[:, None])
    in_cols = (x >= left[:, None]) & (x < (left + width)[:, None])
    in_box = in_rows[:, :, None] & in_cols[:, None, :]

    level = np.digitize(np.pad(images, ((0, 0), (1, 0), (1, 1))), LEVELS)
    west, north = level[:, 1:, :cols], level[:, :rows, 1 : cols + 1]
    north_west, north_east = level[:, :rows, :cols], level[:, :rows, 2:]
    # The strongest two neighbours lead, so that streams with like statistics lie side by side.
    context = (west << 6 | north << 4 | north_east << 2 | north_west)[in_box]

    order = np.argsort(context, kind="stable")
    raw = b"".join(
        (
            np.concatenate([top, left, height, width]).astype(np.uint8).tobytes(),
            np.bincount(context, minlength=256).astype("<u4").tobytes(),
            images[in_box][order].tobytes(),
        )
    )
    return zopfli.zlib.compress(raw, numiterations=ITERATIONS)


def pack_images(idx, pool):
    """An IDX image file -> CRC-32, IDX header, images per block, blocks with their lengths."""
    _, count, rows, cols = struct.unpack(">4I", idx[:16])
    images = np.frombuffer(idx, np.uint8, offset=16).reshape(count, rows, cols)
    cuts = range(0, count, IMAGES_PER_BLOCK)
    blocks = pool.map(pack_block, [images[at : at + IMAGES_PER_BLOCK] for at in cuts])
    body = idx[:16] + struct.pack("<I", IMAGES_PER_BLOCK)
    body += b"".join(struct.pack("<I", len(block)) + block for block in blocks)
    return struct.pack("<I", zlib.crc32(body)) + body


def main():
    source = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent
    with ProcessPoolExecutor() as pool:
        for name, sha256 in SHA256.items():
            idx = gzip.decompress((source / f"{name}.gz").read_bytes())
            if hashlib.sha256(idx).hexdigest() != sha256:
                sys.exit(f"{name}: not the original file (SHA-256 differs)")
            if "images" in name:
                packed, path = pack_images(idx, pool), target / f"{name}.pack"
            else:
                packed, path = zopfli.gzip.compress(idx, numiterations=ITERATIONS), target / f"{name}.gz"
            path.write_bytes(packed)
            print(f"{path.name}: {len(packed)} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
