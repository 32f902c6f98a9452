"""Namespaces and processes of a benchmark run, all of which go when it ends, however it ends."""
import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PREFIX = "weft-bench"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

# Equal for all sides: ports and TIME-WAIT, so that connecting many times does not run out of port
# numbers; room for ten thousand that connect at once; no IPv6, so that the kernel's router solicitations do not wake an idle stack.
SYSCTLS = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1",
           "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1",
           "net.core.somaxconn=16384", "net.ipv4.tcp_max_syn_backlog=16384")


class BenchError(Exception):
    """What went wrong, in one line."""


def last_line(text):
    """The last line of a program's words, for an error message."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


def die_with_parent():
    """In a child: the kernel kills it when the benchmark is gone."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def command(argv):
    """Runs a system command; BenchError when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f'{" ".join(argv)[:80]}: {last_line(done.stderr)}')


def remove_leftovers():
    """Removes namespaces of benchmark processes that were killed."""
    try:
        names = os.listdir("/run/netns")
    except OSError:
        return
    for name in names:
        match = re.fullmatch(PREFIX + r"-(\d+)-\d+", name)
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


class Process:
    """A program that runs in a namespace while others are measured."""

    def __init__(self, popen, out, err):
        self.popen = popen
        self.pid = popen.pid
        self.out = out
        self.err = err

    def is_alive(self):
        """Whether it still runs."""
        return self.popen.poll() is None

    def text(self, path=None):
        """What it has printed, on stdout unless 'path' is its 'err'."""
        with open(path or self.out, encoding="utf-8", errors="replace") as file:
            return file.read()

    def why(self):
        """How it ended, with its last words."""
        return f"ended with {self.popen.returncode}: {last_line(self.text(self.err))}"

    def wait_for_line(self, begin, seconds=10):
        """Waits until it has printed a line that begins so."""
        until = time.monotonic() + seconds
        while not any(line.startswith(begin) for line in self.text().splitlines()):
            if not self.is_alive():
                raise BenchError(f"{self.name()} {self.why()}")
            if time.monotonic() > until:
                raise BenchError(f"{self.name()} does not get ready")
            time.sleep(0.02)

    def name(self):
        """The program's name."""
        return os.path.basename(self.out).partition(".")[0]


class Sandbox:
    """Makes namespaces, runs programs in them; close() or leaving the 'with' removes all."""

    def __init__(self):
        self.work = tempfile.mkdtemp(prefix="weft-bench.")
        os.chmod(self.work, 0o755)
        self.namespaces = []
        self.processes = []
        self.count = 0
        remove_leftovers()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def namespace(self):
        """A new namespace with the loopback interface up; its name."""
        self.count += 1
        name = f"{PREFIX}-{os.getpid()}-{self.count}"
        self.namespaces.append(name)
        command(["ip", "netns", "add", name])
        command(["ip", "-n", name, "link", "set", "lo", "up"])
        command(["ip", "netns", "exec", name, "sysctl", "-qw", *SYSCTLS])
        return name

    def remove_namespace(self, name):
        """Removes a namespace in which nothing runs any more."""
        self.namespaces.remove(name)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def veth(self, first, second, mtu, offload):
        """Joins two namespaces: interface veth0, 10.78.0.1 in 'first' and 10.78.0.2 in 'second'."""
        command(["ip", "link", "add", "veth0", "netns", first, "type", "veth",
                 "peer", "name", "veth0", "netns", second])
        for name, address in ((first, "10.78.0.1/24"), (second, "10.78.0.2/24")):
            command(["ip", "-n", name, "addr", "add", address, "dev", "veth0"])
            command(["ip", "-n", name, "link", "set", "veth0", "mtu", str(mtu), "up"])
            if not offload:
                command(["ip", "netns", "exec", name, "ethtool", "-K", "veth0",
                         "tso", "off", "gso", "off", "gro", "off"])

    @staticmethod
    def argv(namespace, argv, cpus):
        """'argv' in a namespace and on some CPUs (None: all)."""
        pin = ["taskset", "-c", ",".join(map(str, cpus))] if cpus else []
        return ["ip", "netns", "exec", namespace, *pin, *map(str, argv)]

    def spawn(self, namespace, argv, cpus=None):
        """Starts a program in the background."""
        self.count += 1
        path = os.path.join(self.work, f"{os.path.basename(argv[0])}.{self.count}")
        with open(path + ".out", "wb") as out, open(path + ".err", "wb") as err:
            popen = subprocess.Popen(self.argv(namespace, argv, cpus), stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=err, preexec_fn=die_with_parent)
        process = Process(popen, path + ".out", path + ".err")
        self.processes.append(process)
        return process

    def stop(self, process):
        """Ends a background program: in good order if it can within two seconds."""
        if process.is_alive():
            process.popen.terminate()
            try:
                process.popen.wait(2)
            except subprocess.TimeoutExpired:
                process.popen.kill()
        process.popen.wait()
        if process in self.processes:
            self.processes.remove(process)

    def run(self, namespace, argv, cpus=None, timeout=60):
        """Runs a program to its end and returns what it printed."""
        popen = subprocess.Popen(self.argv(namespace, argv, cpus), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 errors="replace", preexec_fn=die_with_parent)
        try:
            out, err = popen.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.communicate()
            raise BenchError(f"{os.path.basename(argv[0])} did not end in {timeout:.0f} s") from None
        except BaseException:
            popen.kill()
            popen.wait()
            raise
        if popen.returncode != 0:
            words = last_line(err if err.strip() else out)
            raise BenchError(f"{os.path.basename(argv[0])} ended with {popen.returncode}: {words}")
        return out

    def close(self):
        """Ends all processes at once and removes all namespaces and files."""
        for process in self.processes:
            process.popen.kill()
        for process in self.processes:
            process.popen.wait()
        self.processes.clear()
        for name in self.namespaces[:]:
            self.remove_namespace(name)
        shutil.rmtree(self.work, ignore_errors=True)
