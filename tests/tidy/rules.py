#!/usr/bin/env python3
"""The rules of docs/STYLE.md that a compiler does not check.

usage: rules.py SOURCE_DIR BUILD_DIR [RULE ...]

Prints one line for each finding and exits with 1 when there is one.  Rules are the functions
called rule_*; without names all of them run.
"""
import os
import re
import subprocess
import sys

FUNCTION_LINES_MAX = 70
SOURCE_LINES_MAX = 600
HEADER_LINES_MAX = 400

# A folder may include its own headers and those of folders it lists here.
LEVELS = {
    "net/base": [],
    "net/wire": ["net/base"],
    "net/tcp": ["net/base", "net/wire"],
    "net/ip": ["net/base", "net/wire"],
    "tun": ["net/base", "net/wire"],
    "net/stack": ["net/base", "net/wire", "net/tcp", "net/ip", "tun"],
    "api/src": ["net/base", "net/wire", "net/tcp", "net/ip", "tun", "net/stack"],
    "api/include/weft": [],
    "docs/examples": [],
    "bench": ["docs/examples"],
}

# Benchmarks of single parts: not programs that use weft, so they may look inside.
BENCH_INTERNAL = ("bench/tunloop", "bench/micro")

# What the sans-I/O levels may link to besides weft's own symbols.
PURE_SYMBOLS = {
    "memcpy", "memmove", "memset", "memcmp", "bcmp", "memchr", "weft_assert_failed", "__stack_chk_fail",
    "_GLOBAL_OFFSET_TABLE_",
}
# Objects of net/base that are the doors to the system, and what each may use.
BASE_DOORS = {
    "check.c.o": {"fprintf", "stderr", "abort", "fflush"},
    "buf.c.o": {"malloc", "free", "calloc", "aligned_alloc"},
    "mem.c.o": {"realloc", "free"},
    "khash.c.o": {"crypto_shorthash", "crypto_generichash", "getrandom", "abort",
                  "sodium_init", "randombytes_buf", "strlen", "strnlen"},
    "addr.c.o": {"inet_pton", "inet_ntop", "snprintf"},
}

BANNED = [
    (r"\b(strcpy|strcat|sprintf|vsprintf|gets|rand|srand|alloca)\s*\(", "banned function", None),
    (r"\b(usleep|nanosleep|sleep)\s*\(", "sleeping as synchronisation", None),
    (r"\bpthread_(mutex|cond|create|join|rwlock|spin)\w*\s*\(",
     "pthreads outside net/base/sync.c", r"^net/base/sync\.[ch]$"),
    (r"#\s*include\s*[<\"]urcu", "liburcu outside net/stack/rcu.[ch]", r"^net/stack/rcu\.[ch]$"),
    (r"\berrno\s*=[^=]", "errno written outside api/src/api_ret.h and tun's constructors",
     r"^(api/src/api_ret\.h|tun/.*)$"),
]

CODE = ("net/", "tun/", "api/")

findings = []


def report(path, line, text):
    findings.append(f"{path}:{line}: {text}")


def run(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout


def sources(*suffixes):
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard").split("\n")
    return [n for n in names if n.endswith(suffixes) and os.path.exists(n)]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def rule_size():
    for path in sources(".c", ".h"):
        lines = read(path).count("\n")
        limit = HEADER_LINES_MAX if path.endswith(".h") else SOURCE_LINES_MAX
        if lines > limit:
            report(path, lines, f"{lines} lines, {limit} allowed")
    files = sources(".c")
    out = run("ctags", "-x", "--c-kinds=f", "--_xformat=%{line} %{end} %F %N", *files)
    for row in out.splitlines():
        first, last, path, name = row.split()
        lines = int(last) - int(first) + 1
        if lines > FUNCTION_LINES_MAX:
            report(path, first, f"{name} has {lines} lines, {FUNCTION_LINES_MAX} allowed")


def level_of(path):
    return os.path.dirname(path)


def rule_includes():
    for path in sources(".c", ".h"):
        folder = level_of(path)
        if folder not in LEVELS or path.startswith(BENCH_INTERNAL):
            continue
        allowed = [folder] + LEVELS[folder]
        for number, line in enumerate(read(path).split("\n"), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            target = match.group(1)
            where = os.path.dirname(target) or folder
            if where == "weft" and folder.startswith(("tun", "net/stack", "api")):
                continue
            if where not in allowed:
                report(path, number, f"{folder} may not include {target}")
            if folder in ("docs/examples", "bench") and target.startswith(("net/", "tun/", "api/")):
                report(path, number, "examples and bench use only installed headers")


def rule_headers():
    """Every header compiles alone."""
    flags = ["-D_GNU_SOURCE", "-std=gnu11", "-Wall", "-Wextra", "-I.", "-Iapi/include", "-Itests"]
    for path in sources(".h"):
        if not path.startswith(CODE):
            continue
        done = subprocess.run(["gcc", "-fsyntax-only", "-x", "c", *flags, path],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            report(path, 1, "does not compile alone: " + done.stderr.strip().split("\n")[0])


def undefined(archive):
    name = None
    for line in run("nm", "-A", "-u", archive).splitlines():
        match = re.match(r".*:([^:]+\.o):\s+[Uw] (\S+)", line)
        if match:
            name = match.group(1)
            yield name, match.group(2).split("@")[0]


def defined(archive):
    return {line.split()[-1] for line in run("nm", "--defined-only", "-g", archive).splitlines()
            if len(line.split()) == 3}


def rule_sans_io():
    """The core links to memcpy and friends and to nothing else."""
    levels = [f"{BUILD}/levels/libweft_{n}.a" for n in ("base", "wire", "tcp", "ip")]
    levels = [path for path in levels if os.path.exists(path)]
    own = set().union(*(defined(path) for path in levels))
    for archive in levels:
        for member, symbol in undefined(archive):
            if member == "sync.c.o" or symbol in own or symbol in PURE_SYMBOLS:
                continue
            if symbol.startswith(("__asan", "__ubsan", "__tsan", "__sanitizer")):
                continue
            if "libweft_base" in archive and symbol in BASE_DOORS.get(member, set()):
                continue
            if member in ("print.c.o",) and symbol in ("snprintf", "vsnprintf", "__vsnprintf_chk"):
                continue
            if "libweft_base" in archive and member == "buf.c.o" and symbol.startswith("mutex_"):
                continue
            report(os.path.basename(archive), 0, f"{member} uses {symbol}")


def rule_exports():
    """Only weft_* leaves the library."""
    for library, option in (("libweft.so", "-D"), ("libweft.a", "-g")):
        out = run("nm", option, "--defined-only", f"{BUILD}/lib/{library}")
        for line in out.splitlines():
            fields = line.split()
            if len(fields) == 3 and not fields[2].startswith("weft_") and fields[1] != "A":
                report(library, 0, f"exports {fields[2]}")


def strip_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def rule_banned():
    for path in sources(".c", ".h"):
        if not path.startswith(CODE):
            continue
        text = read(path)
        for number, line in enumerate(strip_comments(text).split("\n"), 1):
            for pattern, what, where in BANNED:
                raw = text.split("\n")[number - 1] if "include" in pattern else line
                if re.search(pattern, raw) and not (where and re.match(where, path)):
                    report(path, number, what)
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b(?!\(#?\d+\))", line):
                report(path, number, "TODO without an issue's number")


def rule_file_headers():
    for path in sources(".c", ".h"):
        if not read(path).startswith("/*"):
            report(path, 1, "does not begin with a comment that says what it is")


def rule_drops():
    """Every drop reason is named by a test."""
    names = re.findall(r"^\s*X\((\w+),", read("net/base/drop.h"), re.M)
    tests = "\n".join(read(p) for p in sources(".c", ".h", ".sh") if p.startswith("tests/"))
    for name in names:
        if not re.search(rf"\b(DROP_)?{name}\b", tests):
            report("net/base/drop.h", 0, f"no test names {name}")


def rule_docs():
    """Relative links in Markdown lead somewhere."""
    for path in sources(".md"):
        for number, line in enumerate(read(path).split("\n"), 1):
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                if not os.path.exists(os.path.join(os.path.dirname(path), target)):
                    report(path, number, f"dead link {target}")


def rule_rfc():
    """docs/RFC.md: every row has a state, and every test it names exists."""
    path = "docs/RFC.md"
    if not os.path.exists(path):
        return
    tests = "\n".join(read(p) for p in sources(".c", ".h", ".sh", ".txt") if p.startswith("tests/"))
    for number, line in enumerate(read(path).split("\n"), 1):
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if len(cells) < 4 or not re.match(r"[A-Z][A-Za-z0-9]*-", cells[0]):
            continue
        state, proof = cells[2], cells[3]
        if state not in ("yes", "partly", "not yet", "deviation", "n/a"):
            report(path, number, f"{cells[0]} has no state")
        names = re.findall(r"`([\w./]+)`", proof)
        if state == "yes" and not names:
            report(path, number, f"{cells[0]} claims to be done and names no test")
        for name in names:
            word = name.split("/")[-1]
            if not (os.path.exists(name) or re.search(rf"\b(test_)?{re.escape(word)}\b", tests)):
                report(path, number, f"{cells[0]} names {name}, which does not exist")


def rule_format():
    files = sources(".c", ".h")
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *files],
                          capture_output=True, text=True, check=False)
    for line in done.stderr.splitlines():
        if "error:" in line:
            findings.append(line)


if len(sys.argv) < 3:
    sys.exit(__doc__)
BUILD = os.path.abspath(sys.argv[2])
os.chdir(sys.argv[1])
rules = {name[5:]: f for name, f in list(globals().items()) if name.startswith("rule_")}
for wanted in sys.argv[3:] or rules:
    rules[wanted]()
for finding in findings:
    print(finding)
print(f"{len(findings)} findings")
sys.exit(1 if findings else 0)
