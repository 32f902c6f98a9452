"""One run of one case on one side: starts the client and returns {name: number}."""
import json
import math
import os
import time

import machine
from sandbox import BenchError

TOTAL_LIMIT = 180  # seconds for a fixed number of bytes
HERE = os.path.dirname(os.path.abspath(__file__))


def numbers(found):
    """The numbers of a JSON object."""
    return {key: value for key, value in found.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)}


def last_object(text, program):
    """The last line of 'text' as a JSON object."""
    lines = text.strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise BenchError(f"{program} printed no result") from None
    if not isinstance(found, dict):
        raise BenchError(f"{program} printed no result")
    return found


def perf(mode, streams=1, size=None, total=None, options=()):
    """weft-perf's client on kernel sockets against the bed's server; 'total' bytes, however long."""
    def measure(bed, seconds):
        argv = [bed.program("weft-perf"), "--kernel", "--client", bed.address, "--mode", mode,
                "--streams", streams, "--json", *options]
        argv += ["--bytes", total] if total else ["--seconds", f"{seconds:g}"]
        if size:
            argv += ["--size", size]
        if mode == "crr":
            argv.append("--keep-going")
        busy, stolen = machine.busy_seconds(), machine.stolen_seconds()
        text = bed.run(argv, TOTAL_LIMIT if total else seconds * 3 + 20)
        values = numbers(last_object(text, "weft-perf"))
        values["machine_cpu_seconds"] = machine.busy_seconds() - busy
        values["stolen_seconds"] = machine.stolen_seconds() - stolen
        if not values.get("transactions", values.get("bytes")):
            raise BenchError("nothing was moved")
        return with_cpu(values)
    return measure


def with_cpu(values):
    """Adds CPU time for each gigabyte or request: of both ends, of the server, of the machine.

    "machine" is all that the machine did meanwhile: it has the kernel's work for both ends, which
    is not charged to a process in the same way over TUN and over veth, and whatever else ran.
    """
    server = values.get("server_cpu_seconds", 0)
    parts = {"": values.get("cpu_seconds", 0) + server, "server_": server,
             "machine_": values["machine_cpu_seconds"]}
    requests = values.get("transactions", values.get("requests"))
    for part, seconds in parts.items():
        if requests:
            values[f"{part}cpu_us_per_request"] = seconds * 1e6 / requests
        elif requests is None and values.get("bytes"):
            values[f"{part}cpu_s_per_gb"] = seconds * 1e9 / values["bytes"]
    return values


def wrk(connections, keep_alive=True):
    """wrk on kernel sockets against the bed's weft-httpd."""
    def measure(bed, seconds):
        whole = max(1, math.ceil(seconds))  # wrk knows whole seconds only
        threads = 1 if connections == 1 or bed.client_cpus else 2
        argv = ["wrk", "-t", threads, "-c", connections, "-d", f"{whole}s", "--timeout", "10s",
                "-s", os.path.join(HERE, "wrk.lua")]
        if not keep_alive:
            argv += ["-H", "Connection: close"]
        ticks = machine.process_ticks(bed.process.pid)
        busy, stolen = machine.busy_seconds(), machine.stolen_seconds()
        text = bed.run(argv + [f"http://{bed.address}/1k.bin"], whole + 30)
        values = numbers(last_object(text, "wrk"))
        values["machine_cpu_seconds"] = machine.busy_seconds() - busy
        values["stolen_seconds"] = machine.stolen_seconds() - stolen
        ticks = machine.process_ticks(bed.process.pid) - ticks
        values["server_cpu_seconds"] = ticks / machine.TICKS
        values["errors"] = sum(count for key, count in values.items() if key.startswith("errors_"))
        values["rate"] = values["requests"] * 1e6 / values["duration_us"]
        if not values["requests"]:
            raise BenchError(f'no answer at all, {values["errors"]} errors')
        return with_cpu(values)
    return measure


def idle_cpu(connections):
    """CPU time of the server while 'connections' are open and nobody says anything."""
    def measure(bed, seconds):
        argv = ["python3", os.path.join(HERE, "idle_client.py"), bed.address, bed.setup.port,
                connections]
        sandbox = bed.suite.sandbox
        client = sandbox.spawn(bed.client_namespace(), argv, bed.client_cpus)
        try:
            client.wait_for_line("ready")
            time.sleep(1)  # ACKs that were put off
            ticks = machine.process_ticks(bed.process.pid)
            run_ns, switches = machine.process_run(bed.process.pid)
            time.sleep(seconds)
            ticks = machine.process_ticks(bed.process.pid) - ticks
            run_after, switches_after = machine.process_run(bed.process.pid)
            if not client.is_alive():
                raise BenchError(f"idle_client.py {client.why()}")
        finally:
            sandbox.stop(client)
        return {"cpu_ticks": ticks, "run_us": (run_after - run_ns) / 1e3,
                "switches": switches_after - switches, "seconds": seconds}
    return measure


def tunloop(mode, *options):
    """The bare loop, with a kernel peer of its own; 'mode' is sink, source or echo."""
    def measure(bed, seconds):
        seconds = max(1, math.ceil(seconds))  # it knows whole seconds only
        argv = [bed.program("tunloop"), "--mode", mode, "--offload", int(bed.profile.offload),
                "--mtu", bed.profile.mtu, "--seconds", seconds, "--tun", "wt0",
                "--addr", "10.77.0.2/24", "--peer", "10.77.0.1", *options]
        if mode != "echo":
            argv += ["--copy", 1]
        if bed.client_cpus:
            argv += ["--cpu", bed.server_cpus[0], "--peer-cpu", bed.client_cpus[0]]
        # The program pins its two threads itself.
        text = bed.suite.sandbox.run(bed.client_namespace(), argv, None, seconds * 3 + 20)
        values = numbers(last_object(text, "tunloop"))
        if not values.get("transactions", values.get("bits_per_second")):
            raise BenchError("the loop moved nothing")
        return values
    return measure


def flatten(text, program):
    """{"name.key": number} of lines like {"name": "csum_1500", "ns_per_op": 41.5}."""
    values = {}
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        found = last_object(line, program)
        name = found.get("name")
        for key, value in numbers(found).items():
            values[f"{name}.{key}" if name else key] = value
    if not values:
        raise BenchError(f"{program} printed no numbers")
    return values


def tool(program, *args, timeout=120):
    """A program that measures by itself, as long as it takes, and prints lines of JSON."""
    def measure(bed, _seconds):
        return flatten(bed.run([bed.program(program), *args], timeout), program)
    return measure
