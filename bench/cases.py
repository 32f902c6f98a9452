"""The list of cases: what is measured, on which sides, and which numbers are shown."""
from dataclasses import dataclass
from typing import Callable

import measures
from beds import BASELINE, PLACEMENTS, PROFILES, RELAY, TWO_QUEUES, VARIANTS, Setup


@dataclass(frozen=True)
class Metric:
    """How a number is shown."""
    label: str
    unit: str
    divisor: float = 1
    is_more_better: bool = False


METRICS = {
    "bits_per_second": Metric("throughput", "Gbit/s", 1e9, True),
    "rate": Metric("rate", "/s", 1, True),
    "frames_per_second": Metric("frames", "/s", 1, True),
    "p50_us": Metric("p50", "us"),
    "p99_us": Metric("p99", "us"),
    "p999_us": Metric("p99.9", "us"),
    "errors": Metric("errors", ""),
    "cpu_s_per_gb": Metric("CPU of both", "s/GB"),
    "server_cpu_s_per_gb": Metric("CPU of the server", "s/GB"),
    "machine_cpu_s_per_gb": Metric("CPU of the machine", "s/GB"),
    "cpu_us_per_request": Metric("CPU of both", "us/request"),
    "server_cpu_us_per_request": Metric("CPU of the server", "us/request"),
    "machine_cpu_us_per_request": Metric("CPU of the machine", "us/request"),
    "cpu_ticks": Metric("clock ticks", ""),
    "run_us": Metric("ran", "us"),
    "switches": Metric("times on a CPU", ""),
}

BULK_SHOWN = ("bits_per_second", "machine_cpu_s_per_gb")
RR_SHOWN = ("p50_us", "p99_us", "p999_us", "rate", "machine_cpu_us_per_request")
HTTP_SHOWN = ("rate", "p50_us", "p99_us", "errors", "server_cpu_us_per_request",
              "machine_cpu_us_per_request")
CRR_SHOWN = ("rate", "p50_us", "p99_us", "errors", "machine_cpu_us_per_request")


@dataclass(frozen=True)
class Case:
    """One thing that is measured."""
    name: str
    chart: str  # cases of one chart are plotted together
    label: str
    setup: Setup
    sides: tuple
    measure: Callable  # (bed, seconds) -> {name: number}
    shown: tuple = ()  # keys of METRICS, the main one first; (): all that comes
    own: tuple = ()    # ((side, measure), ...): sides measured in another way
    seconds: float = 1  # times the seconds of the command line
    overhead: float = 0.3  # seconds, for the estimate of the duration
    rounds_max: int = 1000
    memory_min: int = 0  # bytes that must be available
    needs: tuple = ()    # our programs that must be there

    def measure_of(self, side):
        """The function that measures 'side'."""
        return dict(self.own).get(side, self.measure)


PERF = {"program": "weft-perf", "args": ("--server",), "port": 5210}
HTTPD = {"program": "weft-httpd", "args": ("--root", "{www}"), "port": 80}
EPOLL = {"program": "epoll-httpd", "port": 80}
ECHO = {"program": "weft-echo", "port": 7}
BARE = ("bare", "bare-threads")
GIB = 1 << 30


def plural(count, word):
    """"1 stream", "4 streams"."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def bulk_cases():
    """Throughput by direction, streams, interface and placement."""
    ways = (("in", "bulk", "to the server", "sink"), ("out", "reverse", "from the server", "source"))
    for placement in ("free", "split"):
        for profile_name, profile in PROFILES.items():
            for way, mode, title, loop in ways:
                for streams in (1, 4):
                    sides = ["weft", BASELINE]
                    if profile_name == "offload1500":
                        sides[1:1] = [name for name in VARIANTS if name != "weft"]
                    if streams == 4 and profile_name.endswith("1500"):
                        sides.insert(1, TWO_QUEUES)
                    if streams == 1 or profile_name == "offload1500":
                        sides.append("tunloop")
                    if (way, streams, profile_name) == ("in", 1, "plain1500"):
                        sides.append("loop-buffers")
                    if streams == 1 and not profile.offload:
                        sides.append("lwip")
                    yield Case(
                        f"bulk.{way}.{streams}.{profile_name}.{placement}",
                        f"Bulk, {PLACEMENTS[placement]}",
                        f"{title}, {plural(streams, 'stream')}, {profile.title}",
                        Setup(profile_name, placement, **PERF), tuple(sides),
                        measures.perf(mode, streams), BULK_SHOWN,
                        (("tunloop", measures.tunloop(loop, "--streams", streams)),
                         ("loop-buffers", measures.tunloop(loop, "--buffers", 1024))))


def zerocopy_cases():
    """Sending by reference beside sending by copy."""
    for placement in ("free", "split"):
        measure = measures.perf("reverse", options=("--zerocopy",))
        yield Case(f"bulk.out.1.offload1500.{placement}.zerocopy", f"Bulk, {PLACEMENTS[placement]}",
                   "from the server, 1 stream, MSG_ZEROCOPY", Setup(placement=placement, **PERF),
                   ("weft", "weft-zerocopy", "kernel-zerocopy", BASELINE), measures.perf("reverse"), BULK_SHOWN,
                   own=(("weft-zerocopy", measure), ("kernel-zerocopy", measure)))


def rr_cases():
    """Round trips."""
    for placement in ("one", "split", "free"):
        for size, text in ((1, "1 B"), (1024, "1 KiB")):
            yield Case(f"rr.{size}.{placement}", f"Round trip, {PLACEMENTS[placement]}",
                       f"{text} there and back", Setup(placement=placement, **PERF),
                       (*VARIANTS, BASELINE, "tunloop", "lwip"),
                       measures.perf("rr", 1, size), RR_SHOWN,
                       (("tunloop", measures.tunloop("echo", "--size", size)),))


def http_cases():
    """wrk against weft-httpd, connections kept."""
    for placement in ("free", "split"):
        for count in (1, 64, 1000):
            yield Case(f"http.{count}.{placement}", f"HTTP keep-alive, {PLACEMENTS[placement]}",
                       f"wrk, {plural(count, 'connection')}", Setup(placement=placement, **HTTPD),
                       (*VARIANTS, *([TWO_QUEUES] if count == 64 else []), *BARE, "bare-files", BASELINE),
                       measures.wrk(count), HTTP_SHOWN, seconds=2)


def epoll_cases():
    """wrk against one source on weft's epoll and on the kernel's, connections kept."""
    for placement in ("free", "split"):
        for count in (64, 1000, 10000):
            yield Case(f"epoll.{count}.{placement}",
                       f"HTTP keep-alive on epoll, {PLACEMENTS[placement]}",
                       f"wrk, {plural(count, 'connection')}", Setup(placement=placement, **EPOLL),
                       ("weft", *([TWO_QUEUES] if placement == "free" else []), BASELINE),
                       measures.wrk(count), HTTP_SHOWN, seconds=4 if count > 1000 else 2,
                       needs=("epoll-httpd",))


def crr_cases():
    """Connect, one request, close."""
    chart = "Connect, request, close"
    for streams in (1, 8):
        yield Case(f"crr.{streams}", chart, f"weft-perf, {plural(streams, 'thread')}",
                   Setup(**PERF), (*VARIANTS, *BARE, BASELINE, "lwip"), measures.perf("crr", streams),
                   CRR_SHOWN)
    for name, count in (("crr.wrk", 64), ("crr.wrk1", 1)):
        yield Case(name, chart, f"wrk, {plural(count, 'connection')}, Connection: close",
                   Setup(**HTTPD), (*VARIANTS, *BARE, "bare-files", BASELINE), measures.wrk(count, False),
                   CRR_SHOWN, seconds=2)


# (controller, lost percent, ms there and back): bytes that take kernel sockets some ten seconds.
LOSSY_BYTES = {
    ("cubic", 0.1, 10): 50_000_000, ("cubic", 1, 10): 10_000_000, ("cubic", 5, 10): 3_000_000,
    ("cubic", 0.1, 100): 10_000_000, ("cubic", 1, 100): 4_000_000, ("cubic", 5, 100): 700_000,
    ("bbr", 1, 10): 30_000_000, ("bbr", 5, 10): 30_000_000,
    ("bbr", 1, 100): 30_000_000, ("bbr", 5, 100): 30_000_000,
}
LOSSY_SEEDS = (1, 2, 3, 4)  # one run says little: what is lost when decides it


def loss_name(congestion, percent, rtt_ms, seed):
    """The name of a case of loss_cases."""
    middle = "" if congestion == "cubic" else f".{congestion}"
    return f"loss.{percent:g}.{rtt_ms}{middle}.seed{seed}"


def loss_cases():
    """Goodput over a path that loses packets and takes time, both ways: the time of so many bytes.

    A time instead would end with a send buffer that is full, which takes kernel sockets and weft
    differently long to drain.  Cases that differ in the seed only have the same faults on both sides.
    """
    for (congestion, percent, rtt_ms), size in LOSSY_BYTES.items():
        for seed in LOSSY_SEEDS:
            setup = Setup("plain1500", "free", **PERF, loss_ppm=int(percent * 10000),
                          rtt_ms=rtt_ms, fault_seed=seed, congestion=congestion)
            sides = ("weft", RELAY)
            if congestion == "bbr":  # above 2 % the draft's version gives way: it would take minutes
                sides = ("weft", "weft-bbr1", RELAY) if percent < 2 else ("weft-bbr1", RELAY)
            yield Case(loss_name(congestion, percent, rtt_ms, seed),
                       f"Loss, the server sends, {congestion}",
                       f"{percent:g} % lost, {rtt_ms} ms there and back, seed {seed}", setup,
                       sides, measures.perf("reverse", total=size),
                       ("bits_per_second",), seconds=10, overhead=1, rounds_max=1)


def idle_cpu_cases():
    """What a stack costs that has nothing to do."""
    yield Case("idle-cpu.100", "Idle CPU", "100 silent connections", Setup(**ECHO),
               (*VARIANTS, BASELINE), measures.idle_cpu(100),
               ("cpu_ticks", "run_us", "switches"), seconds=5, overhead=3, rounds_max=1)


def loop_cases():
    """What the options of the TUN interface bring a loop without a stack."""
    options = {"tunloop": (), "loop-2q": ("--queues", 2), "loop-uring": ("--io", "uring"),
               "loop-napi": ("--io", "napi")}
    for profile in ("plain1500", "offload1500"):
        for mode, text in (("sink", "the kernel sends"), ("source", "the loop sends")):
            sides = {name: more for name, more in options.items()
                     if profile == "plain1500" or name != "loop-uring"}
            own = tuple((name, measures.tunloop(mode, *more)) for name, more in sides.items())
            yield Case(f"loop.{mode}.{profile}", "Bare TUN loop",
                       f"{text}, {PROFILES[profile].title}", Setup(profile), tuple(sides),
                       own[0][1], ("bits_per_second", "frames_per_second"), own)


def blocked_cases():
    """Threads that wait."""
    for count in (10, 1000, 10000):
        args = ("blocked", "--threads", count, "--json")
        yield Case(f"blocked.{count}", "Threads blocked in recv", f"{count:,} threads", Setup(),
                   ("weft", BASELINE), measures.tool(*args),
                   own=((BASELINE, measures.tool(*args, "--kernel")),),
                   overhead=5 + count / 500, rounds_max=1, needs=("blocked",))


def scale_cases():
    """Many connections that do nothing, and single mechanisms."""
    for peer, counts in (("pair", (1000, 100000, 1000000)), ("kernel", (1000, 50000))):
        for count in counts:
            other = "another weft" if peer == "pair" else "the kernel"
            yield Case(f"idle.{peer}.{count}", "Idle connections", f"{count:,} to {other}",
                       Setup(), ("weft",),
                       measures.tool("idle", "--conns", count, "--peer", peer, "--json",
                                     timeout=600),
                       overhead=5 + count / 10000, rounds_max=1, needs=("idle",),
                       memory_min=14 * GIB if count >= 1000000 else 0)
    yield Case("micro", "Micro-benchmarks", "one thread", Setup(), ("weft",),
               measures.tool("micro", timeout=600), overhead=60, rounds_max=1, needs=("micro",))


def all_cases():
    """Every case, in the order of the run."""
    return [*bulk_cases(), *zerocopy_cases(), *rr_cases(), *http_cases(), *epoll_cases(), *crr_cases(),
            *idle_cpu_cases(), *loss_cases(), *loop_cases(), *blocked_cases(), *scale_cases()]
