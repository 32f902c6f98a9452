"""Where a case is measured: a server on weft or on a rival, and a namespace for its client.

	weft, lwip     one namespace:   kernel sockets <-> TUN wt0 <-> the stack
	kernel-veth    two namespaces:  kernel sockets <-> veth    <-> kernel sockets
	kernel-relay   two namespaces:  kernel sockets <-> TUN <-> relay with faults <-> TUN <-> kernel
	tunloop        one namespace:   the program brings its own peer
"""
import os
from dataclasses import dataclass

import machine
from sandbox import BenchError


@dataclass(frozen=True)
class Profile:
    """What the interface can do."""
    mtu: int
    offload: bool
    title: str


PROFILES = {
    "offload1500": Profile(1500, True, "offload, MTU 1500"),
    "plain1500": Profile(1500, False, "no offload, MTU 1500"),
    "plain65520": Profile(65520, False, "no offload, MTU 65520"),
    "offload65520": Profile(65520, True, "offload, MTU 65520"),
}

PLACEMENTS = {
    "free": "not pinned",
    "split": "one CPU for each end",
    "one": "both ends on one CPU",
}


def cpus_of(placement):
    """The CPUs of the client and of the server; None: wherever the scheduler puts them."""
    if placement == "free":
        return None, None
    have = machine.cpus()
    return have[:1], have[1:2] if placement == "split" and len(have) > 1 else have[:1]


@dataclass(frozen=True)
class Setup:
    """All that a server is started with; cases with an equal setup share the servers."""
    profile: str = "offload1500"
    placement: str = "free"
    program: str = ""  # the server; "": there is none
    args: tuple = ()
    port: int = 0
    loss_ppm: int = 0
    rtt_ms: int = 0
    fault_seed: int = 1
    congestion: str = "cubic"

    def title(self):
        """For the reader."""
        parts = [PROFILES[self.profile].title, PLACEMENTS[self.placement]]
        if self.rtt_ms:
            parts.append(f"{self.loss_ppm / 1e4:g} % lost, {self.rtt_ms} ms")
        return ", ".join(parts)


class Bed:
    """A started server and its client's namespace.  This one has just a namespace and no server."""

    def __init__(self, suite, setup):
        self.suite = suite
        self.setup = setup
        self.profile = PROFILES[setup.profile]
        self.client_cpus, self.server_cpus = cpus_of(setup.placement)
        self.namespaces = []
        self.process = None
        self.address = None

    def program(self, name):
        """The path of one of our programs."""
        return os.path.join(self.suite.bin, name)

    def start(self):
        """Makes namespaces and starts the server."""
        self.namespaces.append(self.suite.sandbox.namespace())

    def args(self):
        """The server's own options."""
        return [arg.replace("{www}", self.suite.www) for arg in self.setup.args]

    def kernel_server(self):
        """The same server on kernel sockets, with the setup's congestion control, whatever the default is."""
        return [self.program(self.setup.program), *self.args(), "--kernel",
                "--congestion", self.setup.congestion, "--addr", f"{self.address}/24"]

    def client_namespace(self):
        """Where the client runs."""
        return self.namespaces[0]

    def is_alive(self):
        """Whether the server, if there is one, still runs."""
        return self.process is None or self.process.is_alive()

    def serve(self, namespace, argv):
        """Starts the server and waits until it listens."""
        self.process = self.suite.sandbox.spawn(namespace, argv, self.server_cpus)
        self.process.wait_for_line("listening on")

    def run(self, argv, timeout):
        """Runs a client to its end; what it printed."""
        return self.suite.sandbox.run(self.client_namespace(), argv, self.client_cpus, timeout)

    def stop(self):
        """Ends the server, removes the namespaces."""
        sandbox = self.suite.sandbox
        if self.process:
            sandbox.stop(self.process)
            if self.process.popen.returncode not in (0, -15, -9):
                self.suite.note(f"{self.setup.program} ({type(self).__name__}) {self.process.why()}")
            self.process = None
        for name in self.namespaces:
            sandbox.remove_namespace(name)
        self.namespaces.clear()


class TunBed(Bed):
    """A stack of its own behind a TUN interface: weft, or lwIP."""

    def __init__(self, suite, setup, program=None, options=(), congestion=None):
        super().__init__(suite, setup)
        self.server = program or setup.program
        self.options = options
        self.congestion = congestion or setup.congestion
        self.address = "10.77.0.2"

    def start(self):
        super().start()
        argv = [self.program(self.server), *self.args(), "--tun", "wt0",
                "--addr", "10.77.0.2/24", "--peer", "10.77.0.1", *self.options]
        argv += self.profile_options()
        self.serve(self.namespaces[0], argv)

    def profile_options(self):
        """MTU, offload, and faults if there are to be any."""
        argv = ["--mtu", str(self.profile.mtu)] + ([] if self.profile.offload else ["--no-offload"])
        if self.setup.rtt_ms:
            argv += ["--loss", str(self.setup.loss_ppm),
                     "--delay-us", str(self.setup.rtt_ms * 500), "--fault-seed", str(self.setup.fault_seed),
                     "--congestion", self.congestion]
        return argv


class LwipBed(TunBed):
    """lwIP speaks weft-perf's protocol; its TUN has no offload."""

    def __init__(self, suite, setup):
        super().__init__(suite, setup, "lwip-perf")

    def profile_options(self):
        return ["--mtu", str(self.profile.mtu)]


class BareBed(TunBed):
    """The bare server: unless told so it reads no file, and its root is nothing to it."""

    def __init__(self, suite, setup, options=(), has_files=False):
        super().__init__(suite, setup, "tunserve", options)
        self.has_files = has_files

    def args(self):
        return super().args() if self.has_files else []


class VethBed(Bed):
    """Kernel sockets at both ends of a veth pair."""

    def start(self):
        super().start()
        self.namespaces.append(self.suite.sandbox.namespace())
        self.address = "10.78.0.2"
        self.suite.sandbox.veth(*self.namespaces, self.profile.mtu, self.profile.offload)
        self.serve(self.namespaces[1], self.kernel_server())


class RelayBed(Bed):
    """Kernel sockets at both ends of weft's fault device, so that they see the same bad path."""

    def __init__(self, suite, setup):
        super().__init__(suite, setup)
        self.relay = None

    def start(self):
        super().start()
        sandbox = self.suite.sandbox
        self.namespaces.append(sandbox.namespace())
        self.address = "10.79.0.2"
        self.relay = sandbox.spawn(self.namespaces[0], [
            self.program("relay"), "--ns-a", self.namespaces[0], "--ns-b", self.namespaces[1],
            "--addr-a", "10.79.0.1", "--addr-b", self.address, "--mtu", self.profile.mtu,
            "--loss-ppm", self.setup.loss_ppm, "--delay-us", self.setup.rtt_ms * 500,
            "--seed", self.setup.fault_seed])
        self.relay.wait_for_line("ready")
        self.serve(self.namespaces[1], self.kernel_server())

    def is_alive(self):
        return super().is_alive() and self.relay.is_alive()

    def stop(self):
        if self.relay:
            self.suite.sandbox.stop(self.relay)
            self.relay = None
        super().stop()


class Side:
    """One of those that are compared."""

    def __init__(self, name, title, bed, needs=(), **options):
        self.name = name
        self.title = title
        self.bed = bed
        self.needs = needs
        self.options = options

    def missing(self, suite):
        """The program that is not there, or None."""
        for program in self.needs:
            if not os.path.exists(os.path.join(suite.bin, program)):
                return program
        return None

    def open(self, suite, setup):
        """A started bed."""
        if setup.program:
            bed = self.bed(suite, setup, **self.options)
        else:  # the measuring program is the server too
            bed = Bed(suite, setup)
        try:
            bed.start()
        except BenchError:
            bed.stop()
            raise
        return bed


# weft as it is, and with switches of its own: what a mechanism is worth shows in the difference.
VARIANTS = {
    "weft": ("weft", ()),
    "weft-plain-rx": ("weft, only the RX thread receives", ("--plain-rx",)),
    "weft-plain": ("weft, plain threads", ("--plain-threads",)),
}

BASELINE = "kernel-veth"
RELAY = "kernel-relay"
TWO_QUEUES = "weft-2q"
SIDES = {name: Side(name, title, TunBed, options=options)
         for name, (title, options) in VARIANTS.items()}
SIDES[TWO_QUEUES] = Side(TWO_QUEUES, "weft, two queues", TunBed, options=("--queues", "2"))
SIDES[BASELINE] = Side(BASELINE, "kernel sockets over veth", VethBed)
# The same two, measured with MSG_ZEROCOPY.
SIDES["weft-zerocopy"] = Side("weft-zerocopy", "weft, MSG_ZEROCOPY", TunBed)
SIDES["kernel-zerocopy"] = Side("kernel-zerocopy", "kernel sockets over veth, MSG_ZEROCOPY", VethBed)
SIDES[RELAY] = Side(RELAY, "kernel sockets over the relay", RelayBed, ("relay",))
SIDES["weft-bbr1"] = Side("weft-bbr1", "weft, bbr1", TunBed, congestion="bbr1")
SIDES["tunloop"] = Side("tunloop", "bare TUN loop", Bed, ("tunloop",))
SIDES["loop-buffers"] = Side("loop-buffers", "bare TUN loop, copies behind the batch", Bed, ("tunloop",))
SIDES["bare"] = Side("bare", "bare TUN server", BareBed, ("tunserve",))
SIDES["bare-threads"] = Side("bare-threads", "bare TUN server, a thread a connection", BareBed,
                             ("tunserve",), options=("--threads",))
SIDES["bare-files"] = Side("bare-files", "bare TUN server, a thread a connection, reads the file", BareBed,
                           ("tunserve",), options=("--threads",), has_files=True)
SIDES["loop-2q"] = Side("loop-2q", "bare TUN loop, two queues", Bed, ("tunloop",))
SIDES["loop-uring"] = Side("loop-uring", "bare TUN loop, io_uring", Bed, ("tunloop",))
SIDES["loop-napi"] = Side("loop-napi", "bare TUN loop, IFF_NAPI", Bed, ("tunloop",))
SIDES["lwip"] = Side("lwip", "lwIP", LwipBed, ("lwip-perf",))
