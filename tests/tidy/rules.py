#!/usr/bin/env python3
"""The rules of docs/STYLE.md that a compiler does not check.

usage: rules.py SOURCE_DIR BUILD_DIR [--write-summary] [RULE ...]

--write-summary corrects the table of counts in docs/RFC.md (rule rfc_summary).
Prints one line for each finding and exits with 1 when there is one.  Rules are the functions
called rule_*; without names all of them run, but for "ran", which looks at the records of a whole test run.
"""
import glob
import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

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
    "api/names": ["net/base"],
    "api/src": ["net/base", "net/wire", "net/tcp", "net/ip", "tun", "net/stack", "api/names"],
    "api/include/weft": [],
    "dns": ["api/names", "net/base"],
    "dns/include/weft": [],
    "docs/examples": [],
    "bench": ["docs/examples"],
}

# Benchmarks of single parts: not programs that use weft, so they may look inside.
BENCH_INTERNAL = ("bench/tunloop", "bench/tunserve", "bench/micro")

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
    "gate.c.o": {"__gcc_personality_v0", "_Unwind_Resume"},
}

BANNED = [
    (r"\b(strcpy|strcat|sprintf|vsprintf|gets|rand|srand|alloca)\s*\(", "banned function", None),
    (r"\b(usleep|nanosleep|sleep)\s*\(", "sleeping as synchronisation", None),
    (r"\bpthread_(mutex|cond|create|join|rwlock|spin)\w*\s*\(",
     "pthreads outside net/base/sync.c", r"^net/base/sync\.[ch]$"),
    (r"#\s*include\s*[<\"]urcu", "liburcu outside net/stack/rcu.[ch]", r"^net/stack/rcu\.[ch]$"),
    (r"\berrno\s*=[^=]", "errno written outside api/src/api_ret.h, tun's constructors and the DNS resolver",
     r"^(api/src/api_ret\.h|tun/.*|dns/attach\.c)$"),
    (r"\b(CLOCK_REALTIME\w*|FUTEX_CLOCK_REALTIME|gettimeofday)\b|\btime\s*\(\s*(NULL|0|&)",
     "the wall clock, which may be set: timeouts are on CLOCK_MONOTONIC",
     r"^(api/names/hosts_file\.c|tun/capture\.c)$"),
]

CODE = ("net/", "tun/", "api/", "dns/")

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
    flags = ["-D_GNU_SOURCE", "-std=gnu11", "-Wall", "-Wextra", "-I.", "-Iapi/include", "-Idns/include", "-Itests"]
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
            if member in ("sync.c.o", "cond.c.o") or symbol in own or symbol in PURE_SYMBOLS:
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


def declared(*folders):
    """The functions that the public headers declare, with their headers."""
    names = {}
    for path in [p for f in folders or ("api", "dns") for p in glob.glob(f + "/include/weft/*.h")]:
        for name in re.findall(r"WEFT_API\b[^;{]*?\b(weft_\w+)\(", strip_comments(read(path))):
            names[name] = os.path.basename(path)
    return names


MANUAL_SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "RETURN VALUES", "ERRORS", "THREADS", "DIFFERENCES FROM LINUX")


def rule_manuals():
    """Every public function has a manual page with all sections, every option stands in its page, and mandoc is content."""
    pages = sorted(glob.glob("docs/man/*.[37]"))
    named = set()
    for page in pages:
        names = re.findall(r"^\.Nm (\w+)", read(page), flags=re.M)
        named.update(names)
        if os.path.basename(page)[:-2] not in names and "weft_dev" not in page:
            report(page, 1, "does not name itself")
        for section in MANUAL_SECTIONS:
            if page.endswith(".3") and not re.search(rf"^\.Sh {section}$", read(page), flags=re.M):
                report(page, 1, f"has no section {section}")
    for name, header in sorted(declared().items()):
        if name not in named:
            report(header, 0, f"{name} has no manual page")
    for name in sorted(named - set(declared()) - {"weft", "cc"}):
        if re.match(r"weft_", name):
            report("docs/man", 0, f"{name} is no function")
    options = re.findall(r"^\t\{\w+, ([A-Z]\w+), KIND_", read("api/src/sockopt.c"), flags=re.M)
    for option in options:
        if not re.search(rf"\b{option}\b", read("docs/man/weft_getsockopt.3")):
            report("docs/man/weft_getsockopt.3", 1, f"does not tell of {option}")
    if len(options) < 50:
        report("api/src/sockopt.c", 0, "its table of options was not found")
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True)
    for line in lint.stdout.splitlines():
        report("docs/man", 0, line)


def rule_exports():
    """The library exports what the headers declare, with its version; only weft_* leaves the archive."""
    check_exports("api", "api/package/weft.map", "libweft")
    if os.path.exists(f"{BUILD}/lib/libweft-dns.so"):
        check_exports("dns", "dns/weft-dns.map", "libweft-dns")


def check_exports(folder, version_map, library):
    listed = set(re.findall(r"^\t(\w+);", read(version_map), flags=re.M))
    seen = set()
    for line in run("nm", "-D", "--defined-only", f"{BUILD}/lib/{library}.so").splitlines():
        name, _, version = line.split()[-1].partition("@@")
        if version and not name.startswith("WEFT"):
            seen.add(name)
    for name in sorted(set(declared(folder)) ^ listed):
        report(version_map, 0, f"{name} is not in both the map and the headers")
    for name in sorted(listed ^ seen):
        report(f"{library}.so", 0, f"{name} is not in both the map and the library")
    for file, option in ((f"{library}.so", "-D"), (f"{library}.a", "-g")):
        out = run("nm", option, "--defined-only", f"{BUILD}/lib/{file}")
        for line in out.splitlines():
            fields = line.split()
            if len(fields) == 3 and not fields[2].startswith("weft_") and fields[1] != "A":
                report(file, 0, f"exports {fields[2]}")


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


def check_core_files():
    """The table of the core's files in ARCHITECTURE.md names them all, and no others."""
    path = "docs/ARCHITECTURE.md"
    table = read(path).split("| file | mechanism |\n")[1].split("\n\n")[0]
    named = re.findall(r"`(\w+)`", " ".join(cells_of(row)[0] for row in table.split("\n")))
    there = [os.path.basename(name)[:-2] for name in sources(".c") if level_of(name) == "net/tcp"]
    for stem in sorted(set(named) ^ set(there)):
        report(path, 1, f"the table of net/tcp {'names' if stem in named else 'lacks'} {stem}")


def rule_docs():
    """Relative links in Markdown lead somewhere, and a table of files is whole."""
    check_core_files()
    for path in sources(".md"):
        for number, line in enumerate(read(path).split("\n"), 1):
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                if not os.path.exists(os.path.join(os.path.dirname(path), target)):
                    report(path, number, f"dead link {target}")


STATES = ("yes", "partly", "not yet", "deviation", "n/a")
TRACE = "docs/RFC.md"
TRACE_HEAD = ["ID", "level", "state", "proof", "note"]


def cells_of(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def trace_rows():
    """The rows of docs/RFC.md: number of the line, part ("## ..."), cells."""
    part, is_table = "", False
    for number, line in enumerate(read(TRACE).split("\n"), 1):
        if line.startswith("## "):
            part = line[3:].strip()
        if not line.startswith("|"):
            is_table = False
        elif cells_of(line) == TRACE_HEAD:
            is_table = True
        elif is_table and not line.startswith("|---"):
            yield number, part, cells_of(line)


def unit_tests():
    """Test programs of CUnit: the functions that each one's table runs."""
    programs = {}
    for path in sources(".c"):
        if not path.startswith("tests/"):
            continue
        text = strip_comments(read(path))
        table = re.search(r"UNIT_MAIN\((.*)\)", text, re.S)
        if not table:
            continue
        stem = os.path.basename(path)[:-2]
        level = re.match(r"tests/unit/(\w+)/", path)
        name = f"{level.group(1)}_{stem}" if level else stem
        defined_here = set(re.findall(r"^static void test_(\w+)\(void\)", text, re.M))
        in_table = set(re.findall(r"\bUNIT\((\w+)\)", table.group(1)))
        programs[name] = in_table
        for test in sorted(defined_here - in_table):
            report(path, 0, f"test_{test} stands in no table: it never runs")
    return programs


def ctest_commands():
    """The words of each of CTest's commands, without folders: program, scripts, arguments."""
    listing = json.loads(run("ctest", "--test-dir", BUILD, "--show-only=json-v1"))
    return {test["name"]: {os.path.basename(word) for word in test.get("command", [])}
            for test in listing["tests"]}


def ctest_words():
    return set().union(*ctest_commands().values())


def words_of_file(name):
    """By which words CTest may know a file that a row names."""
    base = os.path.basename(name)
    mode = re.match(r"mode_(\w+)\.c$", base)
    return {base, base.rsplit(".", 1)[0], mode.group(1) if mode else base}


def why_no_proof(name, programs, words):
    """What is wrong with a test that a row names; None: it exists and CTest knows it."""
    if name.endswith(".pkt"):
        name = "tests/drill/scripts/" + name
    if os.path.exists(name):
        return None if words_of_file(name) & words else "which CTest does not run"
    program, _, test = name.rpartition("/")
    if "/" in program:
        return "which does not exist"
    homes = [p for p, tests in programs.items() if test in tests and program in ("", p)]
    if not homes:
        return "which no test program's table has"
    if not program and len(homes) > 1:
        return "which several programs have: " + ", ".join(sorted(homes))
    return None if homes[0] in words else f"whose program {homes[0]} CTest does not run"


def rule_rfc():
    """docs/RFC.md: every row has a state and what it needs, and every test it names runs."""
    programs, words, seen = unit_tests(), ctest_words(), {}
    for number, part, cells in trace_rows():
        if len(cells) != len(TRACE_HEAD):
            report(TRACE, number, f"{cells[0]}: {len(cells)} cells, not {len(TRACE_HEAD)}")
            continue
        row, _, state, proof, note = cells
        if (part, row) in seen:
            report(TRACE, number, f"{row} stands in line {seen[part, row]}, too")
        seen[part, row] = number
        if state not in STATES:
            report(TRACE, number, f"{row} has no state")
        names = re.findall(r"`([^`]+)`", proof)
        if state == "yes" and not names:
            report(TRACE, number, f"{row} claims to be done and names no test")
        if state in ("partly", "deviation", "n/a") and not note:
            report(TRACE, number, f"{row} is '{state}' and does not say why")
        for name in names:
            fault = why_no_proof(name, programs, words)
            if fault:
                report(TRACE, number, f"{row} names {name}, {fault}")


def required_rows():
    """tests/tidy/requirements.txt as (part, row), in its order."""
    part = ""
    for line in read("tests/tidy/requirements.txt").split("\n"):
        if line.startswith("["):
            part = line.strip("[]")
        elif not line.startswith("#"):
            for word in line.split():
                span = re.match(r"(.*?)(\d+)\.\.(\d+)$", word)
                numbers = range(int(span.group(2)), int(span.group(3)) + 1) if span else []
                yield from ((part, span.group(1) + str(n)) for n in numbers)
                if not span:
                    yield part, word


def rule_rfc_rows():
    """docs/RFC.md has a row for each requirement of the lists, and no other."""
    required = list(required_rows())
    present = [(part, cells[0]) for _, part, cells in trace_rows()]
    for part, row in sorted(set(required) - set(present)):
        report(TRACE, 0, f"no row {row} in '{part}'")
    for part, row in sorted(set(present) - set(required)):
        report(TRACE, 0, f"{row} in '{part}' is not in tests/tidy/requirements.txt")


def records():
    """What CTest wrote down of the runs in BUILD's sibling "ran": the output of each test that ran, by its name."""
    outputs = {}
    for path in sorted(glob.glob(os.path.join(os.path.dirname(BUILD), "ran", "*.xml"))):
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            if case.get("status") == "run":
                outputs[case.get("name")] = outputs.get(case.get("name"), "") + (case.findtext("system-out") or "")
    return outputs


def did_run(name, programs, commands, outputs):
    """Whether a test that a row names ran, and passed, in a run that CTest recorded."""
    if name.endswith(".pkt") or os.path.exists(name):
        homes = {test for test, words in commands.items() if words_of_file(name) & words}
        line = f"PASS .*/{re.escape(name)}$" if name.endswith(".pkt") else ""
    else:
        program, _, test = name.rpartition("/")
        of = {p for p, tests in programs.items() if test in tests and program in ("", p)}
        homes = {test for test, words in commands.items() if of & words}
        line = rf"Test: {re.escape(test)} \.\.\."  # the program passed, and so did each of its tests
    return any(re.search(line, outputs[home], re.M) for home in homes & outputs.keys())


def rule_ran():
    """Every test that docs/RFC.md names ran, and passed: asked when all stages are through (./dev test)."""
    programs, commands, outputs = unit_tests(), ctest_commands(), records()
    if not outputs:
        report("build/ran", 0, "no records of any run: ./dev test writes them")
        return
    for number, _, cells in trace_rows():
        for name in re.findall(r"`([^`]+)`", cells[3] if len(cells) == len(TRACE_HEAD) else ""):
            if not did_run(name, programs, commands, outputs):
                report(TRACE, number, f"{cells[0]} names {name}, which did not run")


def summary_rows():
    """The table of counts as it must be, a line for each part and one for all."""
    counts = {}
    for _, part, cells in trace_rows():
        if len(cells) == len(TRACE_HEAD) and cells[2] in STATES:
            counts.setdefault(part, dict.fromkeys(STATES, 0))[cells[2]] += 1
    counts["all"] = {state: sum(c[state] for c in counts.values()) for state in STATES}
    for part, of in counts.items():
        numbers = " | ".join(str(of[state]) for state in STATES)
        yield f"| {part} | {numbers} | {sum(of.values())} |"


def rule_rfc_summary():
    """The summary in docs/RFC.md counts right; --write-summary makes it so."""
    lines = read(TRACE).split("\n")
    head = "| requirements | " + " | ".join(STATES) + " | all |"
    if head not in lines:
        report(TRACE, 1, "has no summary: " + head)
        return
    first = lines.index(head) + 2
    last = first
    while lines[last].startswith("|"):
        last += 1
    wanted = list(summary_rows())
    if lines[first:last] == wanted:
        return
    if WRITE_SUMMARY:
        with open(TRACE, "w", encoding="utf-8") as f:
            f.write("\n".join(lines[:first] + wanted + lines[last:]))
        return
    for line in wanted:
        if line not in lines[first:last]:
            report(TRACE, first + 1, "the summary must say " + line)
    for line in lines[first:last]:
        if line not in wanted:
            report(TRACE, first + 1, "the summary must not say " + line)


def rule_mechanisms():
    """Switches of the mutation check: one site a name, each in docs/MUTANTS.md."""
    names = []
    for path in sources(".c"):
        if path.startswith("net/"):
            names += re.findall(r"\bMECHANISM\(\s*(\w+)\)", read(path))
    rows = re.findall(r"^\| `(\w+)` \|.*\|$", read("docs/MUTANTS.md"), re.M)
    for name in sorted(set(names) | set(rows)):
        if name not in names:
            report("docs/MUTANTS.md", 0, f"{name} is nowhere in net/")
        elif name not in rows:
            report("docs/MUTANTS.md", 0, f"no row for {name}")
        elif rows.count(name) > 1:
            report("docs/MUTANTS.md", 0, f"{rows.count(name)} rows for {name}")
        elif names.count(name) > 1:
            report("net", 0, f"{names.count(name)} places ask for {name}")


def rule_no_switches():
    """A normal build has nothing of MECHANISM: no symbol, no name."""
    for archive in (f"{BUILD}/levels/libweft_{n}.a" for n in ("base", "wire", "tcp", "ip", "stack")):
        if not os.path.exists(archive):
            continue
        for symbol in re.findall(r"\bmechanism_\w+", run("nm", archive)):
            report(os.path.basename(archive), 0, f"has {symbol}")


def rule_format():
    files = sources(".c", ".h")
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *files],
                          capture_output=True, text=True, check=False)
    for line in done.stderr.splitlines():
        if "error:" in line:
            findings.append(line)


if len(sys.argv) < 3:
    sys.exit(__doc__)
WRITE_SUMMARY = "--write-summary" in sys.argv
BUILD = os.path.abspath(sys.argv[2])
os.chdir(sys.argv[1])
rules = {name[5:]: f for name, f in list(globals().items()) if name.startswith("rule_")}
for wanted in [a for a in sys.argv[3:] if a != "--write-summary"] or sorted(rules.keys() - {"ran"}):
    rules[wanted]()
for finding in findings:
    print(finding)
print(f"{len(findings)} findings")
sys.exit(1 if findings else 0)
