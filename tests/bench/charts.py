"""charts.py: the charts of a run of the bench, as SVG files. Without python3-matplotlib there are none, and it says so."""
import math
import os

try:
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot, ticker
except ImportError:
    pyplot = None

COLOURS = {"kvd": "#c0392b", "redis": "#2c3e50", "etcd": "#2980b9", "ceiling": "#bdc3c7", "floor-1": "#95a5a6",
           "floor-4": "#7f8c8d"}


def is_available():
    return pyplot is not None


def _save(figure, directory, name):
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, name + ".svg")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    return path


def bars(directory, name, title, unit, cells, systems, value_of, is_log=False):
    """A group of bars per cell, one bar per system; value_of(cell, system) may be None."""
    figure, axes = pyplot.subplots(figsize=(max(8, 1.4 * len(cells)), 4.2))
    width = 0.8 / max(1, len(systems))
    for i, system in enumerate(systems):
        places = [k + (i + 0.5) * width - 0.4 for k in range(len(cells))]
        axes.bar(places, [value_of(cell, system) or 0 for cell in cells], width, label=system.title,
                 color=COLOURS.get(system.name))
    axes.set_xticks(range(len(cells)), [cell.title.replace(", ", "\n") for cell in cells], fontsize="small")
    values = [value for value in (value_of(cell, system) for cell in cells for system in systems) if value]
    if is_log and values:
        axes.set_yscale("log")
        axes.set_ylim(bottom=10 ** math.floor(math.log10(min(values))))
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.set_ylabel(unit)
    axes.set_title(title)
    axes.legend(fontsize="small", ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.22))
    axes.grid(axis="y", alpha=0.3)
    return _save(figure, directory, name)


def distribution(directory, name, title, unit, series):
    """Cumulative: {label: values}."""
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for label, values in series.items():
        ordered = sorted(values)
        axes.step(ordered, [(i + 1) / len(ordered) for i in range(len(ordered))], where="post", label=label)
    axes.set_xlabel(unit)
    axes.set_ylabel("share of all")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.02)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return _save(figure, directory, name)


def lines(directory, name, title, x_label, y_label, series, marks=(), is_log_x=False, is_log_y=False):
    """{label: [(x, y)]}; `marks` are (from, to) on the x axis that are shaded."""
    figure, axes = pyplot.subplots(figsize=(8, 4))
    for label, points in series.items():
        points = [(x, y) for x, y in points if y is not None]
        axes.plot([x for x, _ in points], [y for _, y in points], label=label, linewidth=1,
                  marker="o" if len(points) < 20 else None, markersize=3)
    for begin, end in marks:
        axes.axvspan(begin, end, alpha=0.15, linewidth=0)
    if is_log_x:
        axes.set_xscale("log")
    if is_log_y:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ticker.StrMethodFormatter("{x:,g}"))
    if is_log_y:
        axes.yaxis.set_minor_formatter(ticker.StrMethodFormatter("{x:,g}"))
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return _save(figure, directory, name)
