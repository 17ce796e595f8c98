"""tables.py: what the bench prints, as Markdown tables."""
from statistics import median

from measurements import MIB
from targets import all_targets, better_floor




def table(head, rows):
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["| %s |" % " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows]
    lines.insert(1, "| %s |" % " | ".join("-" * max(3, width) for width in widths))
    return "\n".join(lines)


def show(value, form="%.2f"):
    return "-" if value is None else format(round(value), ",") if form == "," else form % value


BLOCKS = [
    ("requests per second", lambda book, c, s: show(book.median(c, s, lambda m: m.rps), ",")),
    ("latency, ms: p50 / p99 / p99.9", lambda book, c, s: " / ".join(
        show(book.median(c, s, get)) for get in (lambda m: m.result.p50, lambda m: m.result.p99, lambda m: m.result.p999))),
    ("processor seconds per million requests, all nodes", lambda book, c, s: show(
        book.median(c, s, lambda m: m.cpu_seconds_per_million), "%.1f")),
    ("bytes for the disk per write, all nodes", lambda book, c, s: show(
        book.median(c, s, lambda m: m.written_bytes_per_write), ",")),
    ("MiB resident after it, all nodes: anonymous / with mapped files", lambda book, c, s: " / ".join(
        show(book.median(c, s, get), ",") for get in (lambda m: m.anonymous_bytes / MIB, lambda m: m.resident_bytes / MIB))),
]


def ratio_rows(book, cells):
    """kvd beside its marks."""
    def ratio(cell, other):
        values = book.ratios(cell.name, "kvd", other) if other else []
        return "-" if not values else "%.2f" % median(values) + (
            " (%.2f-%.2f)" % (min(values), max(values)) if len(values) > 1 else "")

    rows = [["kvd / floor, the better", *(ratio(cell, better_floor(book, cell.name)) for cell in cells)]]
    rows += [["kvd / " + name, *(ratio(cell, other) for cell in cells)]
             for other, name in (("redis", "Redis"), ("etcd", "etcd"), ("ceiling", "ceiling"))]
    return [row for row in rows if any(value != "-" for value in row[1:])]


def print_cells(book, title, cells, systems, say):
    """A block per kind of figure, systems down, cells across."""
    cells = [cell for cell in cells if any(book.of(cell.name, system.name) for system in systems)]
    if not cells:
        return
    for what, figure in BLOCKS:
        rows = [[system.title, *("-" if not book.of(cell.name, system.name) else figure(book, cell.name, system.name)
                                 for cell in cells)] for system in systems]
        rows = [row for row in rows if any(cell not in ("-", "- / - / -") for cell in row[1:])]
        if not rows:
            continue
        if what == "requests per second":
            rows += ratio_rows(book, cells)
        say("\n%s, %s\n" % (title, what))
        say(table(["", *(cell.title for cell in cells)], rows))


def print_targets(book, say):
    targets = all_targets(book)
    measured = [target for target in targets if target.value is not None]
    if measured:
        say("\nTargets\n")
        say(table(["what", "against", "wanted", "measured (smallest-largest, how many)", ""],
                  [target.row() for target in measured]))
    for target in targets:
        if target.value is None and len(measured) > len(targets) // 2:
            say("not measured: %s, against %s" % (target.what, target.against))


def print_events(book, say):
    """The single figures of the parts that are not runs of a load, those of one kind together."""
    kinds = {}
    for part, what, system, _, value, unit in book.events:
        kinds.setdefault((part, what, system, unit), []).append(value)
    rows = []
    for (part, what, system, unit), values in kinds.items():
        ordered = sorted(values)
        rows.append([part, what, system, "%.4g %s" % (median(ordered), unit),
                     "%.4g-%.4g" % (ordered[0], ordered[-1]) if len(ordered) > 1 else "", len(ordered)])
    if rows:
        say("\nSingle figures\n")
        say(table(["part", "what", "system", "median", "smallest-largest", "how many"], rows))
