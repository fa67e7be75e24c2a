"""What a published number names: machine, adapter, date, commit, load."""

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from sides import SideFailed, run

ROOT = Path(__file__).resolve().parents[2]


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_gb():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def adapter(program):
    """The adapter that `--device gpu` means."""
    found = [json.loads(line) for line in run([program, "devices", "--json"]).splitlines()]
    named = [f"{d['name']}, {d['backend']}" for d in found if "backend" in d]
    return named[0] if named else "none"


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (", with changes" if git("status", "--porcelain", "-uno") else "")


def has_cuda():
    try:
        return "GPU" in run(["nvidia-smi", "-L"])
    except (OSError, SideFailed):
        return False


def describe(program, command):
    return {
        "processor": processor(), "cores": len(os.sched_getaffinity(0)), "memory_gb": round(memory_gb(), 1),
        "adapter": adapter(program), "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(), "load_average": round(os.getloadavg()[0], 1), "command": command,
    }


def sentence(m):
    return (f"{m['processor']}, {m['cores']} cores, {m['memory_gb']:.0f} GB; adapter {m['adapter']}; {m['date']}; "
            f"commit {m['commit']}; load average at the start {m['load_average']}; `{m['command']}`")
