#!/usr/bin/env python3
"""Lets torch's CUDA build load on a CPU without CUDA's libraries.

The loader wants every library that torch is linked to and every function that it takes the address
of, called or not. This makes those libraries with the C compiler, beside the torch of the
environment that runs this script, where torch looks for the real ones: each function, under the
symbol version that torch asks for, returns an error, as CUDA does where there is no device.
"""

import re
import subprocess
import sys
import sysconfig
import tempfile
from collections import defaultdict
from pathlib import Path

SITE = Path(sysconfig.get_paths()["platlib"])
NO_DEVICE = 100  # cudaErrorNoDevice


def tool(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def wanted():
    """library: version: names of the functions that torch wants and has not; version may be ""."""
    libraries, missing, present, library_of = set(), set(), set(), {}
    for path in sorted((SITE / "torch" / "lib").glob("*.so*")):
        dynamic = tool("readelf", "-W", "-d", path)
        libraries |= set(re.findall(r"\(NEEDED\).*\[(lib(?:cu|nv|nccl).*)\]", dynamic))
        library = None
        for line in tool("readelf", "-W", "-V", path).splitlines():
            if found := re.search(r"\bFile: (\S+)", line):
                library = found[1]
            elif found := re.search(r"\bName: (\S+) +Flags", line):
                library_of[found[1]] = library
        for line in tool("nm", "-D", path).splitlines():
            kind, symbol = line.split()[-2:]
            (missing if kind in "Uwv" else present).add(symbol)
    present = {symbol.split("@")[0] for symbol in present}
    unversioned = libraries - set(library_of.values())
    functions = {library: defaultdict(list) for library in libraries}
    for symbol in sorted(missing):
        name, _, version = symbol.partition("@")
        if name in present or not re.match(r"_*(cu|nv|nccl)", name):
            continue
        # Nothing says where a symbol without a version lies: all libraries without any have it.
        for library in [library_of[version]] if version else unversioned:
            if library in libraries:
                functions[library][version].append(name)
    return functions


def make(library, functions, folder):
    names = [name for names in functions.values() for name in names]
    source = "".join(f"int {name}(void) {{ return {NO_DEVICE}; }}\n" for name in names)
    versions = "".join(f"{version} {{ global: {'; '.join(names)}; }};\n"
                       for version, names in functions.items() if version)
    with tempfile.NamedTemporaryFile("w", suffix=".map") as script:
        script.write(versions)
        script.flush()
        flags = [f"-Wl,--version-script={script.name}"] if versions else []
        subprocess.run(["cc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{library}", *flags,
                        "-o", folder / library, "-x", "c", "-"],
                       input=source, text=True, check=True)
    return len(names)


def main():
    functions = wanted()
    runtime = next(library for library in functions if "cudart" in library)
    # Where torch's run path looks: nvidia/cu13/lib for libcudart.so.13.
    folder = SITE / "nvidia" / f"cu{runtime.rsplit('.', 1)[1]}" / "lib"
    folder.mkdir(parents=True, exist_ok=True)
    count = sum(make(library, functions[library], folder) for library in sorted(functions))
    print(f"{len(functions)} stand-ins for CUDA libraries, {count} functions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
