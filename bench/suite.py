#!/usr/bin/env python3
"""suite.py - weft beside its rivals: './dev bench' runs it.

Every case runs weft and the rivals by turns, in another order each round, pinned the same way, in
namespaces that are removed afterwards.  A run that fails is recorded and shown as an error; it is
never repeated.  Results: a table as it goes, bench/results/latest.json, bench/report/index.html.
"""
import argparse
import json
import os
import resource
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import cases as case_list
import machine
import report
import stats
import table
import targets
from beds import BASELINE, SIDES
from sandbox import BenchError, Sandbox

HERE = os.path.dirname(os.path.abspath(__file__))
FORMAT = 1
SKIPPED = 77
FILES_MIN = 20000  # of one process: 10,000 connections and some


class Suite:
    """One run of the suite: its programs, its sandbox and what it has found so far."""

    def __init__(self, folder, rounds, seconds):
        self.bin = os.path.abspath(folder)
        self.rounds = rounds
        self.seconds = seconds
        self.sandbox = None
        self.www = None
        self.left_out = []
        self.notes = []
        self.cases = {}

    def note(self, text):
        """Keeps something worth saying at the end."""
        self.notes.append(text)

    def rounds_of(self, case):
        """How often a case runs."""
        return min(self.rounds, case.rounds_max)

    def make_www(self):
        """What the HTTP server serves."""
        self.www = os.path.join(self.sandbox.work, "www")
        os.mkdir(self.www)
        with open(os.path.join(self.www, "1k.bin"), "wb") as file:
            file.write(bytes(range(250)) * 4)

    def plan(self, chosen):
        """The cases that can run, with the sides that are there; the rest is left out, and said."""
        planned = []
        absent = {}
        for case in chosen:
            names = [name for name in case.sides if not SIDES[name].missing(self)]
            for name in case.sides:
                if name not in names:
                    absent.setdefault(SIDES[name].missing(self), []).append(case.name)
            lacking = [p for p in case.needs if not os.path.exists(os.path.join(self.bin, p))]
            if lacking:
                absent.setdefault(lacking[0], []).append(case.name)
            elif names:
                planned.append((case, names))
        for program, names in absent.items():
            self.left_out.append(f"no {program}: left out of {len(names)} cases "
                                 f"({names[0]}{', ...' if len(names) > 1 else ''})")
        return planned

    def estimate(self, planned):
        """About how many seconds the plan takes."""
        total = 0
        for case, names in planned:
            each = self.seconds * case.seconds + case.overhead
            total += self.rounds_of(case) * len(names) * each
        return total + 1.0 * sum(len(names) for _, names in by_setup(planned))

    def run_plan(self, planned):
        """Runs everything; prints each chart when its last case is done."""
        charts = {}
        for case, _ in planned:
            charts.setdefault(case.chart, []).append(case.name)
        self.make_www()
        for group, names in by_setup(planned):
            self.run_group(group, names)
            for chart in [title for title, members in charts.items()
                          if all(name in self.cases for name in members)]:
                found = [self.cases[name] for name in charts.pop(chart)]
                print("\n".join(table.chart_lines(chart, found)), flush=True)

    def run_group(self, group, names):
        """Cases with an equal setup: one server for each side, rounds around all of them."""
        members = [member for member in group if self.has_memory(member[0])]
        for case, own in members:
            self.cases[case.name] = empty_record(case, own)
        for case, _ in group:
            self.cases.setdefault(case.name, empty_record(case, []))
        beds = {name: None for name in names}
        try:
            for number in range(max((self.rounds_of(case) for case, _ in members), default=0)):
                for case, own in members:
                    if number < self.rounds_of(case):
                        for name in in_turn(own, number):
                            self.run_one(case, name, number, beds)
        finally:
            for bed in beds.values():
                if bed:
                    bed.stop()
        for case, _ in members:
            stats.summarise(self.cases[case.name], BASELINE)

    def has_memory(self, case):
        """False, with a note, when the machine has too little free memory for the case."""
        available = machine.memory_bytes("MemAvailable")
        if available >= case.memory_min:
            return True
        self.left_out.append(f"{case.name}: needs {case.memory_min >> 30} GiB of free memory, "
                             f"there are {available / (1 << 30):.1f}")
        return False

    def run_one(self, case, name, number, beds):
        """One run on one side; its values or its error go to the results."""
        progress(f"{case.name} {name} {number + 1}")
        record = {"round": number}
        begin = time.monotonic()
        try:
            if beds[name] is None:
                beds[name] = SIDES[name].open(self, case.setup)
            bed = beds[name]
            if not bed.is_alive():
                raise BenchError("the server had ended before the run")
            record["values"] = case.measure_of(name)(bed, self.seconds * case.seconds)
        except (BenchError, OSError, KeyError, ValueError) as error:
            text = str(error) or type(error).__name__
            bed = beds[name]
            if bed and not bed.is_alive() and bed.process:
                text += f"; the server {bed.process.why()}"
            record["error"] = text
            print(f"error: {case.name}, {name}, round {number + 1}: {text}", file=sys.stderr)
            if bed:  # what comes next is measured on a fresh server
                bed.stop()
                beds[name] = None
        record["took"] = round(time.monotonic() - begin, 3)
        self.cases[case.name]["sides"][name]["runs"].append(record)


def empty_record(case, names):
    """A case's entry in the results, before its runs."""
    return {"name": case.name, "chart": case.chart, "label": case.label,
            "setup": case.setup.title(), "shown": list(case.shown),
            "sides": {name: {"title": SIDES[name].title, "runs": [], "medians": {}, "ratios": {}}
                      for name in names}}


def by_setup(planned):
    """[([(case, sides), ...], all sides)]: cases that can share their servers, in order."""
    groups = {}
    for case, names in planned:
        # A case without a server has nothing to share; other charts get fresh servers.
        key = (case.chart, case.setup if case.setup.program else case.name)
        groups.setdefault(key, []).append((case, names))
    return [(group, list(dict.fromkeys(name for _, names in group for name in names)))
            for group in groups.values()]


def in_turn(names, number):
    """The order of the sides: turned by one each round, and reversed in every other one."""
    shift = (number // 2) % len(names)
    turned = [*names[shift:], *names[:shift]]
    return turned[::-1] if number % 2 else turned


def progress(text):
    """What runs now, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}\r", end="", file=sys.stderr, flush=True)


def parse(argv):
    """The command line."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.partition("\n\n")[2],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(HERE, "../build/release/bin"),
                        help="folder of the programs; default: build/release/bin")
    parser.add_argument("--only", default="", metavar="CASE,...",
                        help="cases, their first parts ('bulk.in') or patterns ('*.split')")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side; default: 3")
    parser.add_argument("--seconds", type=float, default=1.0,
                        help="length of a bulk run, of which others are multiples; default: 1")
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    parser.add_argument("--out", default=os.path.join(HERE, "results/latest.json"),
                        help="where the results go; default: bench/results/latest.json")
    parser.add_argument("--report", default=os.path.join(HERE, "report"),
                        help="folder of the report; default: bench/report")
    parser.add_argument("--self-test", action="store_true",
                        help="two short cases, results checked and thrown away")
    parser.add_argument("--quick", action="store_true",
                        help="a two-minute comparison of the main figures (bench/quick.sh)")
    args = parser.parse_args(argv)
    if args.rounds < 1 or not 0.05 <= args.seconds <= 3600:
        parser.error("--rounds from 1, --seconds from 0.05")
    return args


def why_not():
    """What this machine lacks, or None."""
    if os.geteuid() != 0:
        return "needs root, for namespaces and the TUN device"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    for tool in ("ip", "taskset", "sysctl", "ethtool", "wrk"):
        if not shutil.which(tool):
            return f"no {tool}: './dev deps' installs it"
    return None


def why_no_programs(folder):
    """Which program that every run needs is not built, or None."""
    for program in ("weft-perf", "weft-httpd", "weft-echo"):
        if not os.access(os.path.join(folder, program), os.X_OK):
            return f"no {program} in {folder}: './dev build' makes it"
    return None


def stop_on_signals():
    """Signals end the program through its 'finally' clauses."""
    def leave(number, _frame):
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        sys.exit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def open_many_files():
    """Thousands of connections: as many descriptors as the hard limit allows, and FILES_MIN at least."""
    hard = max(resource.getrlimit(resource.RLIMIT_NOFILE)[1], FILES_MIN)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def choose(only):
    """The cases that --only means; the program ends when one item means none."""
    known = case_list.all_cases()
    wanted = [item.strip() for item in only.split(",") if item.strip()]
    for item in wanted:
        if not any(stats.is_selected(case.name, [item]) for case in known):
            sys.exit(f"suite.py: no case '{item}'; --list shows them")
    return [case for case in known if stats.is_selected(case.name, wanted)]


def run(args, chosen):
    """Runs the chosen cases; the results as they are written."""
    suite = Suite(args.bin, args.rounds, args.seconds)
    description = machine.describe(HERE)
    planned = suite.plan(chosen)
    begin = time.monotonic()
    print(table.machine_line(description))
    print(f"{len(planned)} cases, {args.rounds} rounds of {args.seconds:g} s, "
          f"about {suite.estimate(planned) / 60:.0f} min")
    for line in suite.left_out:
        print(line)
    sys.stdout.flush()
    with Sandbox() as suite.sandbox:
        suite.run_plan(planned)
    progress("")
    results = {"format": FORMAT, "machine": description,
               "settings": {"rounds": args.rounds, "seconds": args.seconds, "only": args.only,
                            "took": round(time.monotonic() - begin)},
               "baseline": BASELINE, "cases": suite.cases, "left_out": suite.left_out,
               "notes": suite.notes}
    results["errors"] = [line for case in suite.cases.values() for line in stats.errors_of(case)]
    results["targets"] = targets.judge_all(results)
    return results


def write_json(path, results):
    """Writes the results, whole or not at all."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)


def finish(args, results):
    """Targets, errors, files."""
    print("\n".join(table.target_lines(results["targets"])))
    for title in ("left_out", "notes", "errors"):
        for line in results[title]:
            print(f'{title.replace("_", " ")}: {line}')
    write_json(args.out, results)
    page = report.build(results, args.report)
    print(f'took {results["settings"]["took"] / 60:.1f} min; results {os.path.relpath(args.out)}, '
          f"report {os.path.relpath(page)}")


def self_test(args):
    """Two short cases; checks what comes out."""
    with Sandbox() as place:
        args.rounds, args.seconds = 1, 0.3
        args.out = os.path.join(place.work, "results.json")
        args.report = os.path.join(place.work, "report")
        finish(args, run(args, choose("bulk.in.1.offload1500.free,rr.1.one")))
        with open(args.out, encoding="utf-8") as file:
            found = json.load(file)
        problems = [f'{len(found["errors"])} runs failed'] if found["errors"] else []
        for name, key in (("bulk.in.1.offload1500.free", "bits_per_second"), ("rr.1.one", "p50_us")):
            for side in ("weft", BASELINE):
                value = targets.median_of(found, name, side, key)
                if not value or value <= 0:
                    problems.append(f"{name}: {side} has no {key}")
            if key not in found["cases"][name]["sides"]["weft"]["ratios"]:
                problems.append(f"{name}: no ratio")
        if all(record["state"] == targets.NOT_MEASURED for record in found["targets"]):
            problems.append("no target was judged")
        if not os.path.exists(os.path.join(args.report, "index.html")):
            problems.append("no report")
    for problem in problems:
        print(f"self-test: {problem}")
    print("self-test: " + ("FAILED" if problems else "ok"))
    return 1 if problems else 0


def main():
    """The program."""
    args = parse(sys.argv[1:])
    if args.quick:
        os.execv(os.path.join(HERE, "quick.sh"), ["quick.sh", args.bin])
    chosen = choose(args.only)
    if args.list:
        for case in chosen:
            print(f"{case.name:<34} {case.chart}: {case.label}")
        return 0
    problem = why_not()
    if problem:
        print(f"suite.py: {problem}", file=sys.stderr)
        return SKIPPED if args.self_test else 1
    problem = why_no_programs(args.bin)
    if problem:
        print(f"suite.py: {problem}", file=sys.stderr)
        return 1
    stop_on_signals()
    open_many_files()
    if args.self_test:
        return self_test(args)
    results = run(args, chosen)
    finish(args, results)
    return 1 if results["errors"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(f"suite.py: {error}")
