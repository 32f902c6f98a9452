"""The targets of weft's speed, and whether the results meet them.

A target is a number made of the results (a ratio of medians, or a median) and a bound.  What was not
measured is said to be so; nothing is guessed.
"""
from dataclasses import dataclass
from typing import Callable

import cases
import stats
from beds import BASELINE, PLACEMENTS, RELAY

MET, NOT_MET, NOT_MEASURED = "met", "not met", "not measured"


@dataclass(frozen=True)
class Target:
    """'value' of the results must be at least or at most 'bound'."""
    text: str
    bound: float
    is_at_least: bool
    value: Callable  # (results) -> number or None
    unit: str = "x"
    aim: float = None  # better still; shown only


def runs_of(results, name, side):
    """The side's record in a case, or None."""
    return results["cases"].get(name, {}).get("sides", {}).get(side)


def median_of(results, name, side, key):
    """A median of the results, or None."""
    record = runs_of(results, name, side)
    found = (record or {}).get("medians", {}).get(key)
    return found["median"] if found else None


def quotient(above, below):
    """above / below, or None when that does not exist."""
    return None if above is None or not below else above / below


def against(name, key, other=BASELINE, side="weft"):
    """A function: the side's median over the other's."""
    return lambda results: quotient(median_of(results, name, side, key),
                                    median_of(results, name, other, key))


def plain(name, side, key):
    """A function: the side's median."""
    return lambda results: median_of(results, name, side, key)


def failures(name, side="weft"):
    """A function: what failed in the runs of a case, failed runs included."""
    def count(results):
        record = runs_of(results, name, side)
        if not record or not record["runs"]:
            return None
        return sum(run["values"].get("errors", 0) if "values" in run else 1
                   for run in record["runs"])
    return count


def over_seeds(congestion, percent, rtt_ms, side):
    """A function: the middle of the ratios to kernel sockets over the relay, one for each seed."""
    def middle(results):
        names = [cases.loss_name(congestion, percent, rtt_ms, seed) for seed in cases.LOSSY_SEEDS]
        each = [against(name, "bits_per_second", RELAY, side)(results) for name in names]
        return stats.median([ratio for ratio in each if ratio is not None])
    return middle


def growth(key, large, small):
    """A function: a number at 'large' idle connections over that at 'small'."""
    return lambda results: quotient(median_of(results, f"idle.pair.{large}", "weft", key),
                                    median_of(results, f"idle.pair.{small}", "weft", key))


def each_more(small, large, key="idle.memory.bytes_per_end"):
    """A function: bytes of each further idle connection between two runs; fixed parts cancel out."""
    def difference(results):
        few = median_of(results, f"idle.pair.{small}", "weft", key)
        many = median_of(results, f"idle.pair.{large}", "weft", key)
        if few is None or many is None:
            return None
        return (many * large - few * small) / (large - small)
    return difference


def bulk_targets():
    """Throughput against the kernel and against the ceiling."""
    ways = (("in", "kernel to weft"), ("out", "weft to kernel"))
    for placement in ("free", "split"):
        for way, text in ways:
            where = f"{text}, one stream, {PLACEMENTS[placement]}"
            name = f"bulk.{way}.1.offload1500.{placement}"
            yield Target(f"bulk with offload, {where}: over kernel-veth", 1.0, True,
                         against(name, "bits_per_second"), aim=1.5)
            yield Target(f"bulk with offload, {where}: over the bare TUN loop", 0.6, True,
                         against(name, "bits_per_second", "tunloop"))
            name = f"bulk.{way}.1.plain1500.{placement}"
            yield Target(f"bulk without offload, MTU 1500, {where}: over the bare TUN loop", 0.8,
                         True, against(name, "bits_per_second", "tunloop"))


def latency_targets():
    """Round trips against the kernel."""
    for placement in ("one", "free"):
        name = f"rr.1.{placement}"
        where = f"1 B there and back, {PLACEMENTS[placement]}"
        yield Target(f"{where}: p50 over kernel-veth", 1.3, False, against(name, "p50_us"), aim=1.0)
        yield Target(f"{where}: p99 over kernel-veth", 1.5, False, against(name, "p99_us"), aim=1.0)


def request_targets():
    """HTTP and short connections against the kernel, without errors."""
    names = ["http.64.free", "http.1000.free", "http.64.split", "http.1000.split",
             "epoll.10000.free", "epoll.10000.split", "crr.1", "crr.8", "crr.wrk"]
    titles = {case.name: f"{case.chart}: {case.label}" for case in cases.all_cases()}
    for name in names:
        yield Target(f"{titles[name]}: rate over kernel-veth", 1.0, True, against(name, "rate"))
    for name in names:
        yield Target(f"{titles[name]}: errors", 0, False, failures(name), "")


def loss_targets():
    """Goodput over a bad path against the kernel's over the same; its BBR is the first version."""
    for congestion, side, bound in (("cubic", "weft", 1.0), ("bbr", "weft", 0.9),
                                    ("bbr", "weft-bbr1", 0.9)):
        for of, percent, rtt_ms in cases.LOSSY_BYTES:
            # Above 2 % the draft's BBR gives way, the first version does not (docs/adr/0015-bbr.md).
            if of != congestion or (side, of, percent) == ("weft", "bbr", 5):
                continue
            name = "bbr1" if side == "weft-bbr1" else congestion
            yield Target(f"goodput of {name}, {percent:g} % lost, {rtt_ms} ms: over kernel sockets' "
                         f"{congestion}, the middle of the seeds", bound, True,
                         over_seeds(of, percent, rtt_ms, side))


def scale_targets():
    """Idle connections and an idle stack."""
    for count in (1000, 100000, 1000000):
        yield Target(f"bytes for an idle connection, {count:,} of them, fixed parts counted in", 1024,
                     False, plain(f"idle.pair.{count}", "weft", "idle.memory.bytes_per_end"), "B")
    for few, many in ((1000, 100000), (100000, 1000000)):
        yield Target(f"bytes for each idle connection between {few:,} and {many:,}", 1024, False,
                     each_more(few, many), "B")
    for key, text in (("packet_hot", "the same few connections"),
                      ("packet_cold", "connections at random")):
        yield Target(f"cost of a packet at 1,000,000 over that at 1,000, {text}", 1.2, False,
                     growth(f"idle.{key}.cpu_ns_per_packet", 1000000, 1000))
    yield Target("clock ticks of CPU of a stack with 100 idle connections", 0, False,
                 plain("idle-cpu.100", "weft", "cpu_ticks"), "")


def all_targets():
    """Every target, in the order of the report."""
    return [*bulk_targets(), *latency_targets(), *request_targets(), *loss_targets(),
            *scale_targets()]


def judge(target, results):
    """One target as a record for the results: value, bound and state."""
    value = target.value(results)
    if value is None:
        state = NOT_MEASURED
    else:
        good = value >= target.bound if target.is_at_least else value <= target.bound
        state = MET if good else NOT_MET
    return {"text": target.text, "value": value, "bound": target.bound, "unit": target.unit,
            "at_least": target.is_at_least, "aim": target.aim, "state": state}


def judge_all(results):
    """The records of all targets."""
    return [judge(target, results) for target in all_targets()]


def number_text(value, unit):
    """A value with its unit."""
    if value is None:
        return "-"
    return (f"{value:.2f}" if unit == "x" else f"{value:,.0f}") + (f" {unit}" if unit else "")


def bound_text(record):
    """">= 1.00 x"."""
    return (">= " if record["at_least"] else "<= ") + number_text(record["bound"], record["unit"])


def counts(records):
    """"3 met, 1 not met, 2 not measured"."""
    states = [record["state"] for record in records]
    return ", ".join(f"{states.count(state)} {state}" for state in (MET, NOT_MET, NOT_MEASURED))
