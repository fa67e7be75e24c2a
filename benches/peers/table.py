"""From timed epochs to a table: medians, spreads, ratios. `python table.py` checks itself."""

from dataclasses import dataclass, field
from statistics import median

EPOCH = 60_000


@dataclass
class Row:
    """One side on one network and batch: its epochs in the order they were trained."""

    name: str
    epochs: list = field(default_factory=list)
    spent: float = 0.0

    def seconds(self):
        """Per 60,000 samples: an epoch that trained fewer is scaled up."""
        return [e["seconds"] * EPOCH / e["samples"] for e in self.epochs]

    def median(self):
        return median(self.seconds())

    def loss(self, epoch):
        """Mean training loss of the side's nth epoch, the untimed one counted; None if not trained."""
        at = epoch - 2
        return self.epochs[at]["loss"] if 0 <= at < len(self.epochs) else None

    def full(self):
        return all(e["samples"] == EPOCH for e in self.epochs)


def markdown(rows, reference, loss_epoch):
    """Rows, fastest first; the ratio says how many times as fast the reference is."""
    lines = ["| side | s/epoch: median (least to most) | samples/s | gpu-train's speed / its |"
             f" training loss, epoch {loss_epoch} |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=Row.median):
        seconds, loss = row.seconds(), row.loss(loss_epoch)
        ratio = f"{row.median() / reference.median():.2f}" if reference else "?"
        shown = "" if loss is None or not row.full() and row.epochs[0]["samples"] < EPOCH * 0.9 else f"{loss:.4f}"
        lines.append(f"| {row.name}{'' if row.full() else ' (*)'} | {row.median():.3f} ({min(seconds):.3f} to "
                     f"{max(seconds):.3f}) | {EPOCH / row.median():,.0f} | {ratio} | {shown} |")
    if not all(row.full() for row in rows):
        counts = {row.name: row.epochs[0]["samples"] for row in rows if not row.full()}
        said = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        lines += ["", f"(*) trained fewer samples per timed unit, scaled to 60,000: {said}"]
    return "\n".join(lines)


def check():
    def epochs(*seconds, samples=EPOCH):
        return [{"seconds": s, "samples": samples, "loss": s / 10} for s in seconds]

    slow, ours = Row("slow", epochs(4, 1, 3)), Row("ours", epochs(1.5, 1, 9))
    part = Row("part", epochs(1, 1, samples=EPOCH // 4))
    assert slow.median() == 3 and ours.median() == 1.5
    assert part.seconds() == [4, 4] and not part.full() and slow.full()
    assert slow.loss(2) == 0.4 and slow.loss(3) == 0.1 and slow.loss(1) is None and slow.loss(9) is None
    text = markdown([slow, ours, part], ours, 3).splitlines()
    assert text[2] == "| ours | 1.500 (1.000 to 9.000) | 40,000 | 1.00 | 0.1000 |", text[2]
    assert text[3] == "| slow | 3.000 (1.000 to 4.000) | 20,000 | 2.00 | 0.1000 |", text[3]
    assert text[4].startswith("| part (*) | 4.000 (4.000 to 4.000) | 15,000 | 2.67 |"), text[4]
    assert text[-1].endswith("part 15,000")
    print("table: checked")


if __name__ == "__main__":
    check()
