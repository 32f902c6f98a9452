"""Medians, spreads and ratios of what the rounds of one case gave.

A side (weft, a rival) of a case has one run for each round:
    {"round": 0, "values": {"bits_per_second": 1e9, ...}}   or
    {"round": 0, "error": "the client timed out"}
Only numbers are compared; texts and truth values stay in the raw runs.
"""
import fnmatch


def median(values):
    """The middle of 'values', the mean of the two middle ones, or None for an empty list."""
    ordered = sorted(values)
    if not ordered:
        return None
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def is_number(value):
    """True for numbers, but not for True and False."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def good_runs(runs):
    """The runs that ended well, as {round: values}."""
    return {run["round"]: run["values"] for run in runs if "values" in run}


def summary(runs):
    """{key: {"median", "min", "max", "count"}} over the good ones of 'runs'."""
    columns = {}
    for values in good_runs(runs).values():
        for key, value in values.items():
            if is_number(value):
                columns.setdefault(key, []).append(value)
    return {key: {"median": median(column), "min": min(column), "max": max(column),
                  "count": len(column)} for key, column in columns.items()}


def ratios(runs, base_runs):
    """{key: {"ratio", "min", "max"}}: 'ratio' is that of the medians, the spread that of the rounds.

    Rounds count for the spread where both sides have a good run; keys whose median in 'base_runs'
    is zero have no ratio.
    """
    ours, base = good_runs(runs), good_runs(base_runs)
    our_summary, base_summary = summary(runs), summary(base_runs)
    result = {}
    for key, ours_of_key in our_summary.items():
        below = base_summary.get(key)
        if not below or not below["median"]:
            continue
        each = [ours[number][key] / base[number][key] for number in sorted(ours)
                if number in base and is_number(ours[number].get(key)) and
                is_number(base[number].get(key)) and base[number][key]]
        ratio = ours_of_key["median"] / below["median"]
        result[key] = {"ratio": ratio, "min": min(each, default=ratio),
                       "max": max(each, default=ratio)}
    return result


def summarise(case, baseline):
    """Adds "medians" to every side of 'case', and "ratios" to those besides 'baseline'."""
    sides = case["sides"]
    for side in sides.values():
        side["medians"] = summary(side["runs"])
    for name, side in sides.items():
        side["ratios"] = {}
        if name != baseline and baseline in sides:
            side["ratios"] = ratios(side["runs"], sides[baseline]["runs"])


def errors_of(case):
    """One line for each failed run of 'case'."""
    return [f'{case["name"]}, {name}, round {run["round"] + 1}: {run["error"]}'
            for name, side in case["sides"].items() for run in side["runs"] if "error" in run]


def is_selected(name, wanted):
    """Whether the case 'name' is meant by one of 'wanted': itself, its first parts, or a pattern."""
    return not wanted or any(name == item or name.startswith(item + ".") or
                             fnmatch.fnmatchcase(name, item) for item in wanted)
