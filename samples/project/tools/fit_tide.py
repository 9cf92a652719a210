#!/usr/bin/env python3
"""Fits mean level and constituents to a record of levels (lines of seconds,millimetres) by least squares."""

import math
import sys

PERIODS = {"M2": 12.4206, "S2": 12.0}  # hours


def basis(hours: float) -> list[float]:
    row = [1.0]
    for period in PERIODS.values():
        angle = 2 * math.pi * hours / period
        row += [math.cos(angle), math.sin(angle)]
    return row


def solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gauss with pivoting; the matrix is small and full."""
    size = len(right)
    rows = [[*matrix[i], right[i]] for i in range(size)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda i: abs(rows[i][column]))
        if abs(rows[pivot][column]) < 1e-9:
            raise ValueError("the record is too short to tell the constituents apart")
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for i in range(size):
            if i != column:
                factor = rows[i][column] / rows[column][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column])]
    return [rows[i][size] / rows[i][i] for i in range(size)]


def fit(record: list[tuple[float, float]]) -> dict:
    rows = [basis(seconds / 3600) for seconds, _ in record]
    size = len(rows[0])
    normal = [[sum(row[i] * row[j] for row in rows) for j in range(size)] for i in range(size)]
    right = [sum(row[i] * level for row, (_, level) in zip(rows, record)) for i in range(size)]
    mean, *parts = solve(normal, right)
    constituents = []
    for index, (name, period) in enumerate(PERIODS.items()):
        a, b = parts[2 * index : 2 * index + 2]
        constituents.append({"name": name, "amplitude": math.hypot(a, b), "period": period, "phase": math.atan2(b, a)})
    return {"mean": mean, "constituents": constituents}


def main() -> int:
    record = []
    for number, line in enumerate(sys.stdin, start=1):
        try:
            seconds, millimetres = line.split(",")
            record.append((float(seconds), float(millimetres) / 10))
        except ValueError:
            print(f"line {number} is no reading: {line.strip()!r}", file=sys.stderr)
            return 1
    fitted = fit(record)
    print(f"mean {fitted['mean']:.0f} cm")
    for part in fitted["constituents"]:
        print(f"{part['name']} amplitude {part['amplitude']:.0f} cm, period {part['period']} h, phase {part['phase']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
