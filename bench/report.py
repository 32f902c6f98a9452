#!/usr/bin/env python3
"""report.py RESULTS.json [FOLDER] - makes the report page of a benchmark run.

FOLDER (default: bench/report) gets index.html, one SVG for each plot, made by gnuplot, and a copy of
the results.  Without gnuplot the page has the tables only, and says so.
"""
import html
import json
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import table
import targets
from cases import METRICS

HERE = os.path.dirname(os.path.abspath(__file__))
COLOURS = ("#2b6cb0", "#90cdf4", "#dd6b20", "#718096", "#38a169", "#805ad5")
# Beside the main number of a chart, these are plotted too.
ALSO_PLOTTED = ("p99_us", "machine_cpu_s_per_gb")
STYLE = """
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #1a202c }
h1, h2 { font-weight: 600 } h2 { margin-top: 2em; border-bottom: 1px solid #cbd5e0 }
table { border-collapse: collapse; margin: 1em 0; font-size: 14px }
td, th { padding: .15em .7em; border-bottom: 1px solid #e2e8f0; text-align: right }
td:first-child, th:first-child { text-align: left }
.met { color: #276749 } .not-met { color: #c53030; font-weight: 600 } .not-measured { color: #718096 }
img { max-width: 100%; display: block; margin: 1em 0 } .error { color: #c53030 }
"""


# ---- Plots. ----

def quoted(text):
    """A string for gnuplot."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', "'") + '"'


def gnuplot(script):
    """Runs gnuplot; RuntimeError with its words when it fails."""
    done = subprocess.run(["gnuplot", "-"], input=script, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"gnuplot: {done.stderr.strip()}")


def head(path, width, height, title):
    """What all plots begin with."""
    return (f"set terminal svg size {width},{height} noenhanced font 'sans,12' background '#ffffff'\n"
            f"set output {quoted(path)}\nset title {quoted(title)} noenhanced\n"
            "set datafile missing '?'\nset key outside top right vertical\nset grid ytics\n")


def bars(path, title, cases, key):
    """Bars of the medians with the spread of the rounds, one group a case, one colour a side."""
    metric = METRICS[key]
    names = [name for name in table.side_names(cases)
             if any(key in case["sides"].get(name, {}).get("medians", {}) for case in cases)]
    rows = []
    for case, label in zip(cases, axis_labels([case["name"] for case in cases])):
        row = [quoted(label)]
        for name in names:
            found = case["sides"].get(name, {}).get("medians", {}).get(key)
            row += [f"{found[part] / metric.divisor:g}" for part in ("median", "min", "max")] \
                if found else ["?"] * 3
        rows.append(" ".join(row))
    plots = ", ".join(
        f"$data using {2 + 3 * i}:{3 + 3 * i}:{4 + 3 * i}{':xtic(1)' if i == 0 else ''} "
        f"title {quoted(name)} lc rgb {quoted(COLOURS[i % len(COLOURS)])}"
        for i, name in enumerate(names))
    label = f"{metric.label}, {metric.unit}" if metric.unit else metric.label
    data = "\n".join(rows)
    gnuplot(head(path, max(640, 130 + 75 * len(cases)), 420, title) +
            f"$data << EOD\n{data}\nEOD\n"
            "set style data histograms\nset style histogram errorbars gap 1.5 lw 1\n"
            "set style fill solid 0.9 noborder\nset bars 0.4\nset yrange [0:*]\n"
            f"set xtics rotate by -35 left font 'sans,10'\nset ylabel {quoted(label)}\n"
            f"plot {plots}\n")


def axis_labels(names):
    """The names without the parts that are the same in all of them: short enough for an axis."""
    parts = [name.split(".") for name in names]
    if len({len(item) for item in parts}) > 1 or len(parts) < 2:
        return names
    kept = [i for i in range(len(parts[0])) if len({item[i] for item in parts}) > 1]
    return [".".join(item[i] for i in kept) for item in parts]


def advantages(results):
    """[(label, value, min, max)]: how much better weft is than the kernel, 1 is equal."""
    rows = []
    for case in results["cases"].values():
        keys = case["shown"][:1]
        found = case["sides"].get("weft", {}).get("ratios", {}).get(keys[0]) if keys else None
        if not found or not found["ratio"] or not found["min"]:
            continue
        values = found["ratio"], found["min"], found["max"]
        if not METRICS[keys[0]].is_more_better:
            values = 1 / found["ratio"], 1 / found["max"], 1 / found["min"]
        rows.append((case["name"], *values))
    return rows


def overview(path, rows):
    """weft against the kernel in all cases: a point with its spread each."""
    data = "\n".join(f"{quoted(name)} {value:g} {low:g} {high:g} {len(rows) - i}"
                     for i, (name, value, low, high) in enumerate(rows))
    gnuplot(head(path, 900, 110 + 17 * len(rows), "weft against kernel sockets over veth") +
            f"$data << EOD\n{data}\nEOD\nunset key\nset grid xtics\nset format x '%.3g'\n"
            f"set yrange [0:{len(rows) + 1}]\nset ytics font 'sans,10'\nset logscale x\n"
            "set xlabel 'times as good (throughput and rate: weft/kernel; time: kernel/weft)'\n"
            f"set arrow from 1,0 to 1,{len(rows) + 1} nohead lc rgb '#c53030' lw 1.5\n"
            f"plot $data using 2:5:3:4:ytic(1) with xerrorbars pt 7 ps 0.6 lc rgb '{COLOURS[0]}'\n")


def idle_points(results, key):
    """[(connections, value)] of the idle cases with the pair device."""
    points = []
    for name in results["cases"]:
        match = re.fullmatch(r"idle\.pair\.(\d+)", name)
        value = targets.median_of(results, name, "weft", key) if match else None
        if value is not None:
            points.append((int(match.group(1)), value))
    return sorted(points)


def line(path, title, label, points):
    """A curve over the number of connections."""
    data = "\n".join(f"{x} {y:g}" for x, y in points)
    gnuplot(head(path, 640, 360, title) +
            f"$data << EOD\n{data}\nEOD\nunset key\nset logscale x\nset yrange [0:*]\n"
            f"set xlabel 'connections'\nset ylabel {quoted(label)}\n"
            f"plot $data using 1:2 with linespoints pt 7 lc rgb '{COLOURS[0]}'\n")


IDLE_PLOTS = (
    ("idle.memory.bytes_per_end", "Memory of an idle connection", "bytes"),
    ("idle.packet_hot.cpu_ns_per_packet", "CPU of a packet, the same few connections", "ns"),
    ("idle.packet_cold.cpu_ns_per_packet", "CPU of a packet, connections at random", "ns"),
)


def chart_plots(folder, title, cases):
    """The plots of one chart: their file names."""
    names = []
    for key in cases[0]["shown"]:
        is_plotted = key == cases[0]["shown"][0] or key in ALSO_PLOTTED
        has_values = any(key in side["medians"] for case in cases
                         for side in case["sides"].values())
        if is_plotted and has_values:
            slug = re.sub(r"[^a-z0-9]+", "-", f"{title} {key}".lower()).strip("-")
            bars(os.path.join(folder, slug + ".svg"), f"{title}: {METRICS[key].label}", cases, key)
            names.append(slug + ".svg")
    return names


def make_plots(folder, results, charts):
    """{chart: [file]} of all plots; the chart "" has the overview."""
    plots = {title: chart_plots(folder, title, cases) for title, cases in charts.items()}
    rows = advantages(results)
    if rows:
        overview(os.path.join(folder, "overview.svg"), rows)
        plots[""] = ["overview.svg"]
    for key, title, unit in IDLE_PLOTS:
        points = idle_points(results, key)
        if len(points) > 1:
            name = key.replace(".", "-") + ".svg"
            line(os.path.join(folder, name), title, unit, points)
            plots["Idle connections"].append(name)
    return plots


# ---- Page. ----

def element(tag, text, css=""):
    """A table cell or the like."""
    attribute = f' class="{css}"' if css else ""
    return f"<{tag}{attribute}>{html.escape(str(text))}</{tag}>"


def html_table(header, rows):
    """A table; a row is a list of texts or of (text, class)."""
    lines = ["<table>", "<tr>" + "".join(element("th", text) for text in header) + "</tr>"]
    for row in rows:
        cells = [item if isinstance(item, tuple) else (item, "") for item in row]
        lines.append("<tr>" + "".join(element("td", *item) for item in cells) + "</tr>")
    return "\n".join([*lines, "</table>"])


def machine_table(results):
    """What ran where."""
    known = results["machine"]
    rows = [(key.replace("_", " "), f"{value / (1 << 30):.1f} GiB" if key == "memory_bytes" else value)
            for key, value in known.items() if value is not None]
    settings = results["settings"]
    rows.append(("run", f'{settings["rounds"]} rounds of {settings["seconds"]:g} s (or multiples), '
                        f'{settings["took"]} s in all'))
    return html_table(("machine", ""), rows)


def target_table(records):
    """The targets with value, bound and state."""
    rows = [(record["text"], targets.number_text(record["value"], record["unit"]),
             targets.bound_text(record),
             targets.number_text(record["aim"], record["unit"]) if record["aim"] else "",
             (record["state"], record["state"].replace(" ", "-"))) for record in records]
    return html_table(("target", "value", "bound", "aim", ""), rows)


def chart_table(cases):
    """Medians with their spread, and the ratio to the kernel."""
    names = table.side_names(cases)
    rows = []
    for case in cases:
        for key in table.shown_keys(case):
            metric = table.metric_of(key)
            label = f'{case["label"]}: {metric.label}' + (f", {metric.unit}" if metric.unit else "")
            cells = [spread_text(case, case["sides"].get(name), key) for name in names]
            ratio = case["sides"].get("weft", {}).get("ratios", {}).get(key)
            rows.append([label, *cells, table.ratio_text(ratio)])
    return html_table(["", *names, "weft / kernel"], rows)


def spread_text(case, side, key):
    """"1.2 (1.0 to 1.3)"."""
    if side is None:
        return ""
    text = table.cell(case, side, key)
    found = side["medians"].get(key)
    if text == "error":
        return (text, "error")
    if not found or found["count"] < 2:
        return text
    divisor = table.metric_of(key).divisor
    return (f'{text} ({table.format_number(found["min"] / divisor)} to '
            f'{table.format_number(found["max"] / divisor)})')


def by_chart(results):
    """{chart: [case]} in the order of the run."""
    charts = {}
    for case in results["cases"].values():
        if any(side["runs"] for side in case["sides"].values()):
            charts.setdefault(case["chart"], []).append(case)
    return charts


def page(results, charts, plots, problem):
    """The whole page."""
    parts = ["<!doctype html>", '<html lang="en"><meta charset="utf-8"><title>weft: benchmarks</title>',
             f"<style>{STYLE}</style>", "<h1>weft: benchmarks</h1>", machine_table(results),
             "<p>Each figure is the median of the rounds, with the smallest and the largest in "
             "brackets. Compare within a line: all sides of a line ran by turns, pinned alike. "
             '<a href="results.json">Raw results</a></p>']
    if problem:
        parts.append(element("p", problem, "error"))
    parts += ["<h2>Targets</h2>", target_table(results["targets"]),
              element("p", targets.counts(results["targets"]))]
    parts += images(plots.get("", []))
    for title, cases in charts.items():
        parts += [element("h2", title), *images(plots.get(title, [])), chart_table(cases)]
    for key, title in (("errors", "Errors"), ("left_out", "Left out"), ("notes", "Notes")):
        if results[key]:
            parts.append(element("h2", title))
            parts += [element("p", text, "error" if key == "errors" else "")
                      for text in results[key]]
    return "\n".join([*parts, "</html>", ""])


def images(names):
    """The plots of a section."""
    return [f'<img src="{name}" alt="{name}">' for name in names]


def build(results, folder):
    """Makes the report in 'folder', which is emptied of earlier plots; the page's path."""
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name.endswith(".svg"):
            os.unlink(os.path.join(folder, name))
    charts = by_chart(results)
    plots, problem = {}, None
    if not shutil.which("gnuplot"):
        problem = "No plots: gnuplot is not installed ('./dev deps' installs it)."
    else:
        try:
            plots = make_plots(folder, results, charts)
        except RuntimeError as error:
            problem = f"No plots: {error}"
    with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    path = os.path.join(folder, "index.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(page(results, charts, plots, problem))
    if problem:
        print(f"report: {problem}", file=sys.stderr)
    return path


def main():
    """Rebuilds the report of stored results."""
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)
    print(build(results, sys.argv[2] if len(sys.argv) == 3 else os.path.join(HERE, "report")))


if __name__ == "__main__":
    main()
