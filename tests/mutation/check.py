#!/usr/bin/env python3
"""Switches the mechanisms of weft off, one at a time, and looks whether some test fails for each.

usage: check.py BUILD_DIR [--update] [--jobs N] [NAME...]

BUILD_DIR is a build of the preset 'mutants'; names default to all MECHANISM(name) of net/.  First
every test runs once as it is, which it has to survive, and says which mechanisms it asks for.  Then
each mechanism is switched off, and the tests that ask for it run, quick ones first, until one fails.
One that no test fails for is SURVIVED, one that no test asks for is NEVER REACHED; either makes the
exit status 1.  --update writes the table of docs/MUTANTS.md anew.
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
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = os.path.join(ROOT, "docs", "MUTANTS.md")
LABELS = {"unit", "sim", "drill", "stack"}
# The searches in a short form; what only repeats others or takes threads is left out.
SHORTER = {
    "tcp_sim": ["--seeds", "300"],
    "tcp_explore": ["--faults", "1"],
}
SKIPPED = r"minimise|queues|bench|suite|_ipv6$|_isn_2_|^drill_test$|^tun_|heap"


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
        if not LABELS & set(properties.get("LABELS", [])):
            continue
        if entry["name"] in SHORTER:
            command = command[:1] + SHORTER[entry["name"]]
        env = dict(v.split("=", 1) for v in properties.get("ENVIRONMENT", []))
        tests.append(Test(entry["name"], command, env))
    return tests


def judge(name, tests):
    """What becomes of a mutant."""
    asking = [t for t in tests if name in t.asks]
    if not asking:
        return "NEVER REACHED", ""
    for test in asking:
        passed, how = test.run({"WEFT_MUTANT": name}, 15 + 8 * test.seconds)
        if not passed:
            return test.name, how
    return "SURVIVED", f"{len(asking)} tests"


def update_table(results):
    """The last column of docs/MUTANTS.md."""
    with open(TABLE, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for i, line in enumerate(lines):
        match = re.match(r"\| `(\w+)` \| (.*) \| ([^|]*) \|$", line)
        if match and match.group(1) in results:
            verdict = results[match.group(1)][0]
            killer = verdict if verdict.isupper() else f"`{verdict}`"
            lines[i] = f"| `{match.group(1)}` | {match.group(2)} | {killer} |"
    with open(TABLE, "w", encoding="utf-8") as f:
        f.write("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("names", nargs="*")
    args = parser.parse_intermixed_args()
    sites = site_names()
    names = args.names or sorted(sites, key=lambda n: (sites[n], n))
    unknown = [n for n in names if n not in sites]
    if unknown:
        sys.exit(f"no such mechanism: {' '.join(unknown)}")
    begin = time.monotonic()
    tests = find_tests(args.build)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for test, (passed, how) in zip(tests, pool.map(Test.learn, tests)):
            if not passed:
                sys.exit(f"{test.name} {how} with all mechanisms on")
        tests.sort(key=lambda t: t.seconds)
        print(f"{len(tests)} tests, {len(names)} mechanisms", flush=True)
        results = {}
        for name, result in zip(names, pool.map(lambda n: judge(n, tests), names)):
            results[name] = result
            verdict, how = result
            text = f"{verdict} {how}" if verdict.isupper() else f"killed by {verdict} ({how})"
            print(f"{sites[name]:28} {name:26} {text}", flush=True)
    if args.update:
        update_table(results)
    alive = [n for n, (verdict, _) in results.items() if verdict.isupper()]
    print(f"{len(results) - len(alive)} killed, {len(alive)} not, "
          f"{time.monotonic() - begin:.0f} s")
    sys.exit(1 if alive else 0)


main()
