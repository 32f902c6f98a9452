#!/usr/bin/env python3
"""suite_test.py BENCH_DIR - the arithmetic of the benchmark suite: no root, nothing is run."""
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1) if len(sys.argv) > 1 else
                os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))

# pylint: disable=wrong-import-position
import cases
import measures
import report
import stats
import suite
import table
import targets
from beds import BASELINE, SIDES, Setup, cpus_of
from sandbox import BenchError


def good(number, **values):
    """A run that ended well."""
    return {"round": number, "values": values}


def bad(number, text="gone"):
    """A run that failed."""
    return {"round": number, "error": text}


def case_of(sides, name="bulk.in.1.offload1500.free", shown=("bits_per_second",)):
    """A case's record with its medians and ratios."""
    case = {"name": name, "chart": "Bulk", "label": "to the server", "setup": "",
            "shown": list(shown),
            "sides": {side: {"title": side, "runs": runs} for side, runs in sides.items()}}
    stats.summarise(case, BASELINE)
    return case


def results_of(*found):
    """Results with some cases."""
    return {"machine": {"cpu": "x & y", "cores": 2, "memory_bytes": 1 << 30}, "errors": [],
            "left_out": [], "notes": [], "settings": {"rounds": 1, "seconds": 1, "took": 1},
            "cases": {case["name"]: case for case in found}}


class Stats(unittest.TestCase):
    """Medians, ratios, selection."""

    def test_median(self):
        self.assertIsNone(stats.median([]))
        self.assertEqual(stats.median([3]), 3)
        self.assertEqual(stats.median([9, 1, 2]), 2)
        self.assertEqual(stats.median([4, 1, 3, 2]), 2.5)

    def test_summary_leaves_failed_runs_out(self):
        found = stats.summary([good(0, x=1, flag=True, text="a"), bad(1), good(2, x=5)])
        self.assertEqual(found, {"x": {"median": 3, "min": 1, "max": 5, "count": 2}})

    def test_ratio_is_of_medians_and_spread_of_rounds(self):
        found = stats.ratios([good(0, x=10), good(1, x=30), good(2, x=20)],
                             [good(0, x=10), good(1, x=10), good(2, x=40)])
        self.assertEqual(found["x"], {"ratio": 2, "min": 0.5, "max": 3})

    def test_ratio_with_rounds_that_failed(self):
        found = stats.ratios([good(0, x=10), bad(1)], [bad(0), good(1, x=5)])
        self.assertEqual(found["x"], {"ratio": 2, "min": 2, "max": 2})
        self.assertEqual(stats.ratios([good(0, x=1)], [good(0, x=0)]), {})
        self.assertEqual(stats.ratios([good(0, x=1)], [bad(0)]), {})

    def test_errors_are_named(self):
        case = case_of({"weft": [good(0, x=1), bad(1, "timed out")]})
        self.assertEqual(stats.errors_of(case),
                         ["bulk.in.1.offload1500.free, weft, round 2: timed out"])

    def test_selection(self):
        self.assertTrue(stats.is_selected("rr.1.one", []))
        self.assertTrue(stats.is_selected("rr.1.one", ["x", "rr"]))
        self.assertTrue(stats.is_selected("rr.1.one", ["*.one"]))
        self.assertFalse(stats.is_selected("rr.1024.one", ["rr.1"]))


class Targets(unittest.TestCase):
    """What is met, what is not, and what nobody knows."""

    def judged(self, text, *found):
        """The states of the targets whose text has 'text'."""
        records = targets.judge_all(results_of(*found))
        return [record["state"] for record in records if text in record["text"]]

    def test_nothing_measured(self):
        self.assertEqual(set(self.judged("")), {targets.NOT_MEASURED})

    def test_bounds(self):
        text = "bulk with offload, kernel to weft, one stream, not pinned: over kernel-veth"
        for weft, state in ((10, targets.MET), (9.99, targets.NOT_MET)):
            case = case_of({"weft": [good(0, bits_per_second=weft)],
                            BASELINE: [good(0, bits_per_second=10)]})
            self.assertEqual(self.judged(text, case), [state])
        case = case_of({"weft": [good(0, bits_per_second=1)], BASELINE: [bad(0)]})
        self.assertEqual(self.judged(text, case), [targets.NOT_MEASURED])

    def test_errors_count_failed_runs_too(self):
        for runs, state in (([good(0, errors=0)], targets.MET),
                            ([good(0, errors=2)], targets.NOT_MET),
                            ([good(0, errors=0), bad(1)], targets.NOT_MET),
                            ([], targets.NOT_MEASURED)):
            case = case_of({"weft": runs}, "crr.8")
            self.assertEqual(self.judged("weft-perf, 8 threads: errors", case), [state])

    def test_fixed_parts_cancel_out(self):
        key = "idle.memory.bytes_per_end"
        small = case_of({"weft": [good(0, **{key: 1000 + 500})]}, "idle.pair.1000", ())
        for each, state in ((1024, targets.MET), (1025, targets.NOT_MET)):
            large = case_of({"weft": [good(0, **{key: each + 5})]}, "idle.pair.100000", ())
            few = case_of({"weft": [good(0, **{key: each + 500})]}, "idle.pair.1000", ())
            self.assertEqual(self.judged("between 1,000 and", few, large), [state])
        self.assertEqual(self.judged("between 1,000 and", small), [targets.NOT_MEASURED])

    def test_idle_bytes_are_judged_with_fixed_parts_too(self):
        key = "idle.memory.bytes_per_end"
        for count in (1000, 100000, 1000000):
            for each, state in ((1024, targets.MET), (1025, targets.NOT_MET)):
                case = case_of({"weft": [good(0, **{key: each})]}, f"idle.pair.{count}", ())
                self.assertEqual(self.judged(f"connection, {count:,} of them", case), [state])

    def test_growth(self):
        key = "idle.packet_hot.cpu_ns_per_packet"
        small = case_of({"weft": [good(0, **{key: 100})]}, "idle.pair.1000", ())
        for cost, state in ((120, targets.MET), (121, targets.NOT_MET)):
            large = case_of({"weft": [good(0, **{key: cost})]}, "idle.pair.1000000", ())
            self.assertEqual(self.judged("the same few connections", small, large), [state])

    def test_every_target_names_a_case(self):
        known = {case.name for case in cases.all_cases()}
        asked = set()

        class Asked(dict):
            """Remembers the names that are looked up."""
            def get(self, key, default=None):
                asked.add(key)
                return default

        targets.judge_all({"cases": Asked()})
        self.assertEqual(asked - known, set())


class Cases(unittest.TestCase):
    """The list, and the plan that is made of it."""

    def test_names_and_sides(self):
        found = cases.all_cases()
        self.assertEqual(len(found), len({case.name for case in found}))
        for case in found:
            self.assertLessEqual(set(case.sides), set(SIDES), case.name)
            self.assertLessEqual(set(case.shown), set(cases.METRICS), case.name)
            self.assertLessEqual({side for side, _ in case.own}, set(SIDES))

    def test_missing_programs_are_said(self):
        with tempfile.TemporaryDirectory() as folder:
            plan = suite.Suite(folder, 1, 1)
            found = plan.plan(suite.choose("rr.1.one,micro"))
        self.assertEqual([(case.name, "lwip" in names) for case, names in found],
                         [("rr.1.one", False)])
        self.assertEqual(len(plan.left_out), 3)

    def test_order_of_sides(self):
        names = ["a", "b", "c"]
        orders = [suite.in_turn(names, number) for number in range(6)]
        for order in orders:
            self.assertEqual(sorted(order), names)
        self.assertEqual({order[0] for order in orders}, set(names))
        self.assertEqual(suite.in_turn(["a", "b"], 1), ["b", "a"])

    def test_groups_share_servers_within_a_chart(self):
        planned = [(case, list(case.sides)) for case in suite.choose("bulk.*.offload1500.free,crr")]
        groups = suite.by_setup(planned)
        self.assertEqual([len(group) for group, _ in groups], [4, 2, 2])

    def test_placement(self):
        with mock.patch("machine.cpus", return_value=[0, 1, 2]):
            self.assertEqual(cpus_of("free"), (None, None))
            self.assertEqual(cpus_of("split"), ([0], [1]))
            self.assertEqual(cpus_of("one"), ([0], [0]))
        with mock.patch("machine.cpus", return_value=[3]):
            self.assertEqual(cpus_of("split"), ([3], [3]))

    def test_unknown_case(self):
        with self.assertRaises(SystemExit):
            suite.choose("nothing")

    def test_failed_run_is_recorded_once(self):
        plan = suite.Suite("/nonexistent", 1, 1)
        case = cases.Case("x", "X", "x", Setup(), ("weft",), mock.Mock(side_effect=BenchError("no")))
        plan.sandbox = mock.Mock()
        with mock.patch("sys.stderr"):
            plan.run_group([(case, ["weft"])], ["weft"])
        runs = plan.cases["x"]["sides"]["weft"]["runs"]
        self.assertEqual([(run["round"], run["error"]) for run in runs], [(0, "no")])
        self.assertEqual(case.measure.call_count, 1)


class Measures(unittest.TestCase):
    """What is read from the programs' words."""

    def test_flatten(self):
        text = 'words\n{"name":"csum","ns":4.5,"ok":true}\n{"name":"csum","gb":2}\n{"x":1}\n'
        self.assertEqual(measures.flatten(text, "p"), {"csum.ns": 4.5, "csum.gb": 2, "x": 1})
        with self.assertRaises(BenchError):
            measures.flatten("nothing\n", "p")

    def test_last_object(self):
        self.assertEqual(measures.last_object('a\n{"b":1}\n', "p"), {"b": 1})
        for text in ("", "a", "[1]"):
            with self.assertRaises(BenchError):
                measures.last_object(text, "p")

    def test_cpu(self):
        found = measures.with_cpu({"bytes": 2e9, "cpu_seconds": 1, "server_cpu_seconds": 3,
                                   "machine_cpu_seconds": 6})
        self.assertEqual((found["cpu_s_per_gb"], found["server_cpu_s_per_gb"],
                          found["machine_cpu_s_per_gb"]), (2, 1.5, 3))
        found = measures.with_cpu({"bytes": 5, "transactions": 10, "machine_cpu_seconds": 1})
        self.assertEqual(found["machine_cpu_us_per_request"], 1e5)


class Output(unittest.TestCase):
    """Tables and the page."""

    def test_numbers(self):
        for value, text in ((None, "-"), (0, "0"), (12345, "12,345"), (1.234, "1.23"),
                            (0.0123, "0.0123"), (45.67, "45.7"), (123.4, "123")):
            self.assertEqual(table.format_number(value), text)

    def test_table_shows_errors(self):
        case = case_of({"weft": [bad(0)], BASELINE: [good(0, bits_per_second=2e9)]})
        lines = table.chart_lines("Bulk", [case])
        self.assertIn("error", lines[-1])
        self.assertTrue(lines[-1].rstrip().endswith("2"))

    def test_axis_labels(self):
        self.assertEqual(report.axis_labels(["bulk.in.1.x.free", "bulk.out.4.x.free"]),
                         ["in.1", "out.4"])
        self.assertEqual(report.axis_labels(["a.b"]), ["a.b"])

    def test_page(self):
        results = results_of(case_of({"weft": [good(0, bits_per_second=1e9)],
                                      BASELINE: [good(0, bits_per_second=2e9)]}))
        results["errors"] = ["<gone>"]
        results["targets"] = targets.judge_all(results)
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch("shutil.which", return_value=None), mock.patch("sys.stderr"):
            with open(report.build(results, folder), encoding="utf-8") as file:
                text = file.read()
        self.assertIn("&lt;gone&gt;", text)
        self.assertIn("x &amp; y", text)
        self.assertIn('class="not-met">not met', text)
        self.assertIn("No plots", text)


if __name__ == "__main__":
    unittest.main()
