"""Results as lines of text."""
import targets
from beds import BASELINE
from cases import METRICS, Metric

LABEL_WIDTH = 46

# Parts of a measuring program's lines that say how it measured.
HIDDEN = ("ops", "min", "max", "conns", "exchanges", "batch", "threads", "seed")


def metric_of(key):
    """How a number is shown; what is not known is shown as it is."""
    return METRICS.get(key) or Metric(key, "")


def shown_keys(case):
    """The keys of a case's numbers that are shown: those it names, or all that came."""
    if case["shown"]:
        return case["shown"]
    keys = {}
    for side in case["sides"].values():
        keys.update(dict.fromkeys(side["medians"]))
    return [key for key in keys if key.rpartition(".")[2] not in HIDDEN]


def format_number(value):
    """Three or four digits that count."""
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 20 else 2 if size >= 0.1 else 4
    return f"{value:,.{digits}f}"


def cell(case, side, key):
    """A median in its unit, "error" when no run ended well, "" when there is none."""
    found = side["medians"].get(key)
    if found:
        return format_number(found["median"] / metric_of(key).divisor)
    if side["runs"] and all("error" in run for run in side["runs"]):
        return "error"
    return "-"


def ratio_text(ratio):
    """"1.05 [0.99..1.20]"."""
    return f'{ratio["ratio"]:.2f} [{ratio["min"]:.2f}..{ratio["max"]:.2f}]' if ratio else ""


def side_names(cases):
    """All sides of some cases, in the order in which they appear."""
    names = {}
    for case in cases:
        names.update(dict.fromkeys(case["sides"]))
    return list(names)


def row_label(case, key, is_first):
    """The case's label on its first line; its metrics indented below."""
    metric = metric_of(key)
    unit = f", {metric.unit}" if metric.unit else ""
    if is_first and case["shown"]:
        return f'{case["label"]}, {metric.label}{unit}'
    return f"  {metric.label}{unit}"


def chart_lines(title, cases):
    """The table of the cases of one chart."""
    names = side_names(cases)
    has_ratio = BASELINE in names and "weft" in names
    labels = [row_label(case, key, index == 0) for case in cases
              for index, key in enumerate(shown_keys(case))]
    width = max([LABEL_WIDTH, *map(len, labels)])
    head = "".join(f"{name:>15}" for name in names)
    lines = ["", f"== {title}", " " * width + head + ("   weft/kernel-veth" if has_ratio else "")]
    for case in cases:
        if not case["shown"]:
            lines.append(case["label"])
        for index, key in enumerate(shown_keys(case)):
            cells = "".join(f'{cell(case, case["sides"][name], key):>15}'
                            if name in case["sides"] else " " * 15 for name in names)
            ratio = ratio_text(case["sides"].get("weft", {}).get("ratios", {}).get(key))
            lines.append(f"{row_label(case, key, index == 0):<{width}}{cells}   {ratio}".rstrip())
    return lines


def target_lines(records):
    """The table of the targets that were measured; how many were not."""
    measured = [record for record in records if record["value"] is not None]
    width = max([len(record["text"]) for record in measured], default=0)
    lines = ["", "== Targets"]
    for record in measured:
        value = targets.number_text(record["value"], record["unit"])
        lines.append(f'{record["text"]:<{width}} {value:>12} {targets.bound_text(record):>12}  '
                     f'{record["state"]}')
    return [*lines, targets.counts(records)]


def machine_line(machine):
    """The machine in one line."""
    return (f'machine: {machine["cores"]} CPUs, {machine["cpu"]}, Linux {machine["kernel"]}, '
            f'{machine["memory_bytes"] / (1 << 30):.0f} GiB, hypervisor {machine["hypervisor"]}, '
            f'governor {machine["governor"] or "unknown"}, load {machine["load_before"]:.1f}, '
            f'{machine["date"]}, commit {(machine["commit"] or "unknown")[:12]}')
