"""What the machine is, for the record, and what it did meanwhile."""
import datetime
import os
import subprocess

TICKS = os.sysconf("SC_CLK_TCK")


def read(path, default=None):
    """The text of a file of /proc or /sys, stripped, or 'default'."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return default


def output(*args, cwd=None):
    """What a command prints, or None when it fails."""
    try:
        done = subprocess.run(args, capture_output=True, text=True, check=True, cwd=cwd)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def cpus():
    """The CPUs this process may use, in order."""
    return sorted(os.sched_getaffinity(0))


def field(path, name):
    """The value of the first line 'name : value' of a file, or None."""
    for line in (read(path) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def memory_bytes(name):
    """A value of /proc/meminfo in bytes; 0 when it has none."""
    value = field("/proc/meminfo", name)
    return int(value.split()[0]) * 1024 if value else 0


def hypervisor():
    """The kind of virtual machine, "no", or "unknown"."""
    kind = output("systemd-detect-virt", "--vm")
    if kind:
        return "no" if kind == "none" else kind
    if "hypervisor" in (field("/proc/cpuinfo", "flags") or "").split():
        return read("/sys/class/dmi/id/product_name") or "yes"
    return "no"


def commit(folder):
    """The commit checked out in 'folder', "-dirty" behind it when files were changed."""
    name = output("git", "rev-parse", "HEAD", cwd=folder)
    if name and output("git", "status", "--porcelain", "--untracked-files=no", cwd=folder):
        name += "-dirty"
    return name


def describe(folder):
    """The machine's description for the results."""
    return {
        "cpu": field("/proc/cpuinfo", "model name") or os.uname().machine,
        "cores": len(cpus()),
        "mhz": field("/proc/cpuinfo", "cpu MHz"),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "hypervisor": hypervisor(),
        "memory_bytes": memory_bytes("MemTotal"),
        "kernel": os.uname().release,
        "mitigations": read("/sys/devices/system/cpu/vulnerabilities/spectre_v2"),
        "load_before": os.getloadavg()[0],
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(folder),
    }


def busy_seconds():
    """CPU seconds that the whole machine has spent so far, on whatever: user, system, interrupts."""
    numbers = [int(text) for text in read("/proc/stat").splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq = numbers[:7]
    return (user + nice + system + irq + softirq) / TICKS


def stolen_seconds():
    """CPU seconds that this machine wanted and its host gave to others."""
    return int(read("/proc/stat").splitlines()[0].split()[8]) / TICKS


def process_ticks(pid):
    """User and system time of a process in clock ticks."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def process_run(pid):
    """Time on a CPU in nanoseconds, and how often threads were switched, over all threads."""
    run_ns = switches = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        parts = (read(f"/proc/{pid}/task/{thread}/schedstat") or "0 0 0").split()
        run_ns += int(parts[0])
        switches += int(parts[2])
    return run_ns, switches
