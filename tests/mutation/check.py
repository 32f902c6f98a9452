#!/usr/bin/env python3
"""Switches the mechanisms of weft off, one at a time, and looks whether some test fails for each.

usage: check.py BUILD_DIR [--update] [--jobs N] [--minutes M] [--resume] [NAME...]

BUILD_DIR is a build of the preset 'mutants'; names default to all MECHANISM(name) of net/.  First
every test runs once as it is, which it has to survive, and says which mechanisms it asks for.  Then
each mechanism is switched off, and the tests that ask for it run until one fails: first the one that
docs/MUTANTS.md names, then the quick ones; one that the table does not name has to fail twice.  A test
that only hangs proves less than one that fails: the search goes on, and only when nothing fails the
verdict is "hangs".  A mechanism that no test
misses is SURVIVED, one that no test asks for is NEVER REACHED; either makes the exit status 1.

--update writes the last column of docs/MUTANTS.md.  --minutes ends a run early, --resume goes on with
one: what is known lies in BUILD_DIR/mutation.json and holds as long as the build and the scripts stay.
"""
import argparse
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = os.path.join(ROOT, "docs", "MUTANTS.md")
LABELS = {"unit", "sim", "drill", "stack"}
OTHERS = {"schedules"}  # of the label models, whose other tests know nothing of weft's code
# The searches in a short form; what only repeats others or takes threads is left out, and the table of
# goodput, which notices every change and says about none what is wrong.
SHORTER = {
    "tcp_sim": ["--seeds", "300"],
    "tcp_explore": ["--faults", "1"],
    "schedules": ["--most", "300"],
}
SKIPPED = r"minimise|queues|bench|suite|_ipv6$|_isn_2_|^drill_test$|^tun_|heap|goodput"
HANGS_ENOUGH = 3  # so many tests that hang, and none that fails: the next will not, either
ROW = r"\| `(\w+)` \| (.*) \| ([^|]*) \|$"


def site_names():
    """name -> the source that asks for it."""
    found = {}
    for folder, _, files in os.walk(os.path.join(ROOT, "net")):
        for file in sorted(files):
            path = os.path.join(folder, file)
            if not file.endswith(".c") or file == "mechanism.c":
                continue
            with open(path, encoding="utf-8") as f:
                for name in re.findall(r"\bMECHANISM\(\s*(\w+)\)", f.read()):
                    found[name] = os.path.relpath(path, ROOT)
    return found


def table_rows():
    """The lines of docs/MUTANTS.md, and name -> the test that it names."""
    with open(TABLE, encoding="utf-8") as f:
        lines = f.read().split("\n")
    rows = (re.match(ROW, line) for line in lines)
    return lines, {m.group(1): re.sub(r"`| \(.*", "", m.group(3)) for m in rows if m}


class Test:
    def __init__(self, name, command, env):
        self.name, self.command, self.env = name, command, env
        self.seconds = 0.0
        self.asks = set()

    def run(self, variables, timeout):
        """Whether it passed, and how it failed.  A process group: no child outlives it."""
        env = {**os.environ, **self.env, **variables}
        with subprocess.Popen(self.command, env=env, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True) as child:
            try:
                code = child.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                return False, "hangs"
        return code == 0, "dies" if code < 0 else "fails"

    def learn(self):
        """Runs with all mechanisms on; notes the time and what was asked for."""
        with tempfile.NamedTemporaryFile() as trace:
            begin = time.monotonic()
            passed, how = self.run({"WEFT_MUTANT_TRACE": trace.name}, 300)
            self.seconds = time.monotonic() - begin
            self.asks = set(trace.read().decode().split())
        return passed, how

    def misses(self, name):
        """What becomes of it without the mechanism; None: nothing.  Waits of 20 s have to end by themselves."""
        variables = {"WEFT_MUTANT": name, "WEFT_FIRST_FAILURE": "1"}
        passed, how = self.run(variables, 30 + 4 * self.seconds)
        return None if passed else how


def find_tests(build):
    listing = json.loads(subprocess.run(
        ["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
        capture_output=True, text=True).stdout)
    tests = []
    for entry in listing["tests"]:
        properties = {p["name"]: p["value"] for p in entry.get("properties", [])}
        command = entry.get("command")
        if not command or re.search(SKIPPED, entry["name"]):
            continue
        if not LABELS & set(properties.get("LABELS", [])) and entry["name"] not in OTHERS:
            continue
        if entry["name"] in SHORTER:
            command = command[:1] + SHORTER[entry["name"]]
        env = dict(v.split("=", 1) for v in properties.get("ENVIRONMENT", []))
        tests.append(Test(entry["name"], command, env))
    return tests


class Known:
    """What this run and those before it found out; a newer build or script makes it forget."""

    def __init__(self, build, tests, resume):
        self.path = os.path.join(build, "mutation.json")
        self.lock = threading.Lock()
        self.state = {"stamp": self.stamp(tests), "tests": {}, "results": {}, "seconds": 0.0}
        if resume and os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as f:
                state = json.load(f)
            if state["stamp"] == self.state["stamp"]:
                self.state = state

    @staticmethod
    def stamp(tests):
        files = {word for t in tests for word in t.command if os.path.isfile(word)}
        for folder, _, names in os.walk(os.path.join(ROOT, "tests", "drill", "scripts")):
            files.update(os.path.join(folder, n) for n in names)
        return max(os.path.getmtime(f) for f in files)

    def learn(self, test):
        known = self.state["tests"].get(test.name)
        if known:
            test.seconds, test.asks = known[0], set(known[1])
            return
        passed, how = test.learn()
        if not passed:
            sys.exit(f"{test.name} {how} with all mechanisms on")
        self.note("tests", test.name, [test.seconds, sorted(test.asks)])

    def note(self, part, name, value):
        with self.lock:
            self.state[part][name] = value
            with open(self.path + ".new", "w", encoding="utf-8") as f:
                json.dump(self.state, f)
            os.replace(self.path + ".new", self.path)


def judge(name, tests, before):
    """What becomes of a mutant: who notices, and how."""
    asking = sorted((t for t in tests if name in t.asks),
                    key=lambda t: (t.name != before, t.seconds))
    count = len(asking)
    hangs = []
    while asking:
        # Where something hangs the explorer of schedules, which sees that nobody can go on, is the one to ask.
        test = next((t for t in asking if hangs and t.name == "schedules"), asking[0])
        asking.remove(test)
        how = test.misses(name)
        if how and how != "hangs" and (test.name == before or test.misses(name)):
            return test.name, how
        if how == "hangs":
            hangs.append(test.name)
        if len(hangs) == HANGS_ENOUGH:
            break
    if hangs:
        return hangs[0], "hangs"
    return ("SURVIVED", f"{count} tests") if count else ("NEVER REACHED", "")


def update_table(results):
    """The last column of docs/MUTANTS.md."""
    lines, _ = table_rows()
    for i, line in enumerate(lines):
        match = re.match(ROW, line)
        if match and match.group(1) in results:
            verdict, how = results[match.group(1)]
            killer = verdict if verdict.isupper() else f"`{verdict}`"
            killer += " (hangs)" if how == "hangs" else ""
            lines[i] = f"| `{match.group(1)}` | {match.group(2)} | {killer} |"
    with open(TABLE, "w", encoding="utf-8") as f:
        f.write("\n".join(lines))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--minutes", type=float, default=24 * 60)
    parser.add_argument("names", nargs="*")
    return parser.parse_intermixed_args()


def main():
    args = arguments()
    sites = site_names()
    names = args.names or sorted(sites, key=lambda n: (sites[n], n))
    unknown = [n for n in names if n not in sites]
    if unknown:
        sys.exit(f"no such mechanism: {' '.join(unknown)}")
    begin = time.monotonic()
    tests = find_tests(args.build)
    known = Known(args.build, tests, args.resume)
    results, spent = known.state["results"], known.state["seconds"]
    before = table_rows()[1]

    def step(name):
        if name in results or time.monotonic() - begin > 60 * args.minutes:
            return
        verdict, how = judge(name, tests, before.get(name))
        known.note("results", name, [verdict, how])
        text = f"{verdict} {how}" if verdict.isupper() else f"killed by {verdict} ({how})"
        print(f"{sites[name]:28} {name:26} {text}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(known.learn, tests))
        print(f"{len(tests)} tests, {len(names)} mechanisms", flush=True)
        list(pool.map(step, names))
    known.state["seconds"] = spent + time.monotonic() - begin
    known.note("tests", "", [0, []])
    if args.update:
        update_table(results)
    judged = {n: results[n] for n in names if n in results}
    alive = [n for n, (verdict, _) in judged.items() if verdict.isupper()]
    hung = [n for n, (_, how) in judged.items() if how == "hangs"]
    print(f"{len(judged) - len(alive)} killed, {len(hung)} of them by a time limit only; "
          f"{len(alive)} not, {len(names) - len(judged)} to do; "
          f"{known.state['seconds']:.0f} s")
    sys.exit(1 if alive else 2 if len(judged) < len(names) else 0)


main()
