#!/usr/bin/env python3
"""Runs the program of tests/differential in the kernel's bed and in others, and compares.

usage: compare.py PROGRAM BED...

Every line must be equal, or stand in differences.tsv with what the kernel and weft say and why.  What
stands there must still differ in one of the beds given.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKS_MIN = 2050  # without root fewer: no ICMP errors
NOT_IN = {"pair": ("errors.",)}  # what a bed cannot have


def lines_of(program, bed):
    done = subprocess.run([program, bed], capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        sys.exit(f"{bed}: exit {done.returncode}: {done.stderr.strip()}; last: {done.stdout[-200:]}")
    lines = [line.split(": ", 1) for line in done.stdout.splitlines()]
    names = [name for name, _ in lines]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        sys.exit(f"{bed}: twice: {sorted(twice)}")
    return dict(lines)


def reviewed():
    """check -> (beds, kernel, weft, reason); beds: * or a list with commas."""
    rows = {}
    with open(f"{HERE}/differences.tsv", encoding="utf-8") as f:
        for line in f:
            if line.startswith("#") or not line.strip():
                continue
            check, beds, kernel, weft, reason = line.rstrip("\n").split("\t")
            rows[check, beds] = (kernel, weft, reason)
    return rows


def main():
    program, *beds = sys.argv[1:]
    kernel = lines_of(program, "kernel")
    known = reviewed()
    failed = 0
    used = set()
    for bed in beds:
        weft = lines_of(program, bed)
        differ = 0
        for name in sorted(set(kernel) | set(weft)):
            if name.startswith(NOT_IN.get(bed, ())):
                continue
            said = kernel.get(name, "-"), weft.get(name, "-")
            row = next((r for (check, where), r in known.items()
                        if check == name and (where == "*" or bed in where.split(","))), None)
            if said[0] == said[1]:
                continue
            used.add(name)
            differ += 1
            if row is None or row[:2] != said:
                print(f"{bed}: {name}: kernel {said[0]}, weft {said[1]}")
                failed += 1
        print(f"{bed}: {len(weft)} checks, {differ} differ, {failed} not as reviewed")
    for check, where in known:
        if check not in used and (where == "*" or set(where.split(",")) & set(beds)):
            print(f"{check}: no difference any more: take it off the list")
            failed += 1
    if len(kernel) < CHECKS_MIN:
        print(f"{len(kernel)} checks, fewer than {CHECKS_MIN}")
        failed += 1
    sys.exit(failed > 0)


main()
