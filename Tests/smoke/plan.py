#!/usr/bin/env python3
"""What a statement of a running service has really read, from the plans that auto_explain writes to PostgreSQL's log.

Reads the log from standard input, takes the last plan of a statement that holds --holding, and prints one JSON object:

  rows     rows read from tables and indexes, those that a filter threw away included
  scans    the same, by "kind of scan, table"
  text     the statement

The plans have to be in JSON, with ANALYZE.
"""

import argparse
import collections
import json
import sys


def plans(log):
    """Each plan in the log: what follows a line that ends with "plan:" and is indented."""
    lines = None
    for line in log:
        if lines is not None and line.startswith("\t"):
            lines.append(line[1:])
            continue
        if lines:
            yield "".join(lines)
        lines = [] if line.rstrip().endswith("plan:") else None
    if lines:
        yield "".join(lines)


def scans(node, found):
    if "Relation Name" in node:
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        found[f'{node["Node Type"]}, {node["Relation Name"]}'] += rows * node["Actual Loops"]
    for child in node.get("Plans", []):
        scans(child, found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holding", required=True)
    holding = parser.parse_args().holding
    last = None
    for text in plans(sys.stdin):
        plan = json.loads(text)
        if holding in plan["Query Text"]:
            last = plan
    if last is None:
        raise SystemExit(f"no plan of a statement with {holding!r}")
    found = collections.Counter()
    scans(last["Plan"], found)
    print(json.dumps({"rows": sum(found.values()), "scans": found, "text": last["Query Text"]}))


main()
