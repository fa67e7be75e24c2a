#!/usr/bin/env python3
"""Small .npz archives written by NumPy, which the reader of .npz files must understand.

Run, from the repository root, in the environment that README.md describes:

    venv/bin/python tests/reference/npz.py           # rewrite npz/*.npz
    venv/bin/python tests/reference/npz.py --check   # compare with the committed files

--check compares names, types, orders and values, not bytes, which depend on zlib; it exits 1 on
any difference.

* types-stored.npz and types-deflated.npz: one array [2, 3, 4] of every type, byte order and memory
  order, named TYPE_ORDER. With i the place in C order: integers are i * 5 - 3 * (i % 2) * signed,
  floats (i - 11) / 4, booleans i % 3 == 0.
* keras.npz: x_train [4, 2, 3] and x_test [1, 2, 3] of uint8 counting upwards, y uint8.
* channels-last.npz: float32 [3, 2, 2, 3] with i / 8, y int64 [3, 1].
* channels-first.npz: int64 [3, 3, 2, 4] with i, y one-hot float32.
* values.npz: float64 x [5, 2] in Fortran order with i / 2, y float64 with i * 1.5 - 2.
"""

import argparse
import os
import sys

import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "npz")
TYPES = [
    "|b1", "|u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4",
    "<u8", ">u8", "<i8", ">i8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8",
]  # fmt: skip


def of_type(descr):
    dtype = np.dtype(descr)
    place = np.arange(24).reshape(2, 3, 4)
    if dtype.kind == "b":
        return place % 3 == 0
    if dtype.kind == "f":
        return ((place - 11) / 4).astype(dtype)
    return (place * 5 - 3 * (place % 2) * (dtype.kind == "i")).astype(dtype)


def types():
    arrays = {}
    for descr in TYPES:
        name = descr.replace("<", "little-").replace(">", "big-").replace("|", "")
        arrays[f"{name}_C"] = np.ascontiguousarray(of_type(descr))
        arrays[f"{name}_F"] = np.asfortranarray(of_type(descr))
    return arrays


def archives():
    """File name: (compressed, arrays)."""
    return {
        "types-stored.npz": (False, types()),
        "types-deflated.npz": (True, types()),
        "keras.npz": (
            True,
            {
                "x_train": np.arange(24, dtype=np.uint8).reshape(4, 2, 3),
                "y_train": np.array([0, 2, 1, 0], dtype=np.uint8),
                "x_test": np.arange(24, 30, dtype=np.uint8).reshape(1, 2, 3),
                "y_test": np.array([2], dtype=np.uint8),
            },
        ),
        "channels-last.npz": (
            False,
            {
                "x_train": (np.arange(36) / 8).astype(np.float32).reshape(3, 2, 2, 3),
                "y_train": np.array([[1], [0], [1]], dtype=np.int64),
            },
        ),
        "channels-first.npz": (
            True,
            {
                "x": np.arange(72, dtype=np.int64).reshape(3, 3, 2, 4),
                "y": np.eye(4, dtype=np.float32)[[3, 0, 1]],
            },
        ),
        "values.npz": (
            True,
            {
                "X_train": np.asfortranarray((np.arange(10) / 2).reshape(5, 2)),
                "y_train": np.arange(5) * 1.5 - 2,
            },
        ),
    }


def differences():
    for file, (_, arrays) in archives().items():
        with np.load(os.path.join(HERE, file)) as found:
            if sorted(found.files) != sorted(arrays):
                yield f"{file}: arrays {sorted(found.files)}"
                continue
            for name, wanted in arrays.items():
                array = found[name]
                if array.dtype.str != wanted.dtype.str or array.shape != wanted.shape:
                    yield f"{file} {name}: {array.dtype.str} {array.shape}"
                elif array.flags.f_contiguous != wanted.flags.f_contiguous:
                    yield f"{file} {name}: the memory order differs"
                elif not np.array_equal(array, wanted):
                    yield f"{file} {name}: the values differ"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        found = list(differences())
        print("\n".join(found) or f"{len(archives())} archives agree (numpy {np.__version__})")
        return 1 if found else 0
    os.makedirs(HERE, exist_ok=True)
    for file, (compressed, arrays) in archives().items():
        save = np.savez_compressed if compressed else np.savez
        save(os.path.join(HERE, file), **arrays)
    return 0


if __name__ == "__main__":
    sys.exit(main())
