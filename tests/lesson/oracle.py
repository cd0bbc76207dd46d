"""What the flights lesson must find out, worked out a second time: plain polars and Python, no flowbook, nothing lazy.

The tables are computed in other ways than the notebook computes them, where there is another way: joins by dictionary,
bands by search, one day at a time. Run it to read the answer's figures::

    python tests/lesson/oracle.py --month 7 --min-minutes 15
"""

from __future__ import annotations

import argparse
import bisect
import calendar
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DATA = Path(__file__).parents[2] / "notebooks" / "data"
FACTORS = ("after six in the evening", "rain or snow", "visibility under 3 miles", "wind of 20 mph and more")

Row = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What is asked: the parameter of the notebook and the settings of its nodes.

    Attributes:
        month: 1 to 12, or 0 for the whole year.
        min_minutes: minutes behind time from which a departure is late.
        bucket_years: width of an age group, years.
        top_routes: how many routes are listed.
        draws: how often the days are dealt anew.
        seed: of the generator that deals them.
    """

    month: int = 0
    min_minutes: int = 15
    bucket_years: int = 5
    top_routes: int = 12
    draws: int = 500
    seed: int = 7


def rows(name: str) -> list[Row]:
    """The rows of one of the five files."""
    return pl.read_parquet(DATA / f"{name}.parquet").rows(named=True)


def mean(values: list[float]) -> float | None:
    """The mean, or None of nothing."""
    return sum(values) / len(values) if values else None


def rounded(value: float | None, digits: int = 2) -> float | None:
    """Rounded as polars rounds; None stays None."""
    return None if value is None else float(pl.Series([value], dtype=pl.Float64).round(digits).item())


def grouped(flights: list[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """Flights by the values of some columns; a value that is missing keeps the flight out."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    columns = [[flight[name] for flight in flights] for name in names]
    for key, flight in zip(zip(*columns, strict=True), flights, strict=True):
        if None not in key:
            groups[key].append(flight)
    return dict(sorted(groups.items()))


def counts(flights: list[Row]) -> Row:
    """The columns that the tables of the lesson share."""
    left = [flight["late"] for flight in flights if flight["late"] is not None]
    late = sum(left)
    return {
        "flights": len(flights),
        "cancelled": len(flights) - len(left),
        "late": late,
        "late_percent": rounded(100 * late / len(left)) if left else None,
    }


def delays(question: Question) -> list[Row]:
    """Every flight of the period, with what is needed of it."""
    table = pl.read_parquet(DATA / "flights.parquet")
    if question.month:
        table = table.filter(pl.col("month") == question.month)
    flights = table.drop("sched_dep_time", "arr_time", "sched_arr_time", "flight", "minute").rows(named=True)
    for flight in flights:
        leaves, arrives = flight["dep_delay"], flight["arr_delay"]
        flight["late"] = None if leaves is None else leaves >= question.min_minutes
        flight["made_up"] = None if leaves is None or arrives is None else leaves - arrives
    return flights


def with_weather(flights: list[Row]) -> list[Row]:
    """The flights whose hour has an observation at their airport, with that observation."""
    sky = {(hour["origin"], hour["time_hour"]): hour for hour in rows("weather")}
    joined = []
    for flight in flights:
        hour = sky.get((flight["origin"], flight["time_hour"]))
        if hour is not None:
            seen = {name: hour[name] for name in ("precip", "visib", "wind_speed")}
            seen["sky"] = "wet" if (hour["precip"] or 0) > 0 else "dry"
            joined.append(flight | seen)
    return joined


def by_carrier(flights: list[Row]) -> list[Row]:
    """How late each airline leaves and arrives."""
    names = {airline["carrier"]: airline["name"] for airline in rows("airlines")}
    table = []
    for (carrier,), group in grouped(flights, "carrier").items():
        leaves = [flight["dep_delay"] for flight in group if flight["dep_delay"] is not None]
        arrives = [flight["arr_delay"] for flight in group if flight["arr_delay"] is not None]
        means = {"leaves": rounded(mean(leaves)), "arrives": rounded(mean(arrives))}
        table.append({"name": names[carrier]} | counts(group) | means)
    return sorted(table, key=lambda row: (row["late_percent"], row["name"]))


def by_weather(flights: list[Row]) -> list[Row]:
    """Late and cancelled flights in bands of the weather."""
    table = []
    for measure, column, edges in (
        ("rain or snow (inches an hour)", "precip", [0, 0.01, 0.05, 0.2]),
        ("visibility (miles)", "visib", [0, 1, 3, 6, 10]),
        ("wind (miles an hour)", "wind_speed", [0, 10, 20, 30]),
    ):
        bands: dict[float, list[Row]] = {}
        for flight in flights:
            if flight[column] is not None:
                bands.setdefault(edges[bisect.bisect_right(edges, flight[column]) - 1], []).append(flight)
        for start in sorted(bands):
            row: Row = {"measure": measure, "start": start} | counts(bands[start])
            table.append(row | {"cancelled_percent": rounded(100 * row["cancelled"] / row["flights"])})
    return table


def by_hour(flights: list[Row]) -> list[Row]:
    """Late flights by hour of departure, in the dry and in the wet."""
    return [
        {"hour": hour, "sky": sky} | counts(group) for (hour, sky), group in grouped(flights, "hour", "sky").items()
    ]


def by_age(flights: list[Row], bucket_years: int) -> list[Row]:
    """Late flights by age of the aircraft, beside what their airlines let one expect."""
    built = {plane["tailnum"]: plane["year"] for plane in rows("planes")}
    known = []
    for flight in flights:
        year = built.get(flight["tailnum"])
        if year is not None:
            age = min(max(flight["year"] - year, 0), 30)
            known.append(flight | {"age": age // bucket_years * bucket_years})
    usual = {
        carrier: mean([flight["late"] for flight in group if flight["late"] is not None])
        for (carrier,), group in grouped(known, "carrier").items()
    }
    table = []
    for (age,), group in grouped(known, "age").items():
        expected = [usual[flight["carrier"]] or 0.0 for flight in group if flight["late"] is not None]
        table.append(
            {"age": age}
            | counts(group)
            | {
                "planes": len({flight["tailnum"] for flight in group}),
                "expected_percent": rounded(100 * math.fsum(expected) / len(expected)) if expected else None,
            }
        )
    return table


def great_circle_miles(here: Row, there: Row) -> float:
    """Distance of two places, by the spherical law of cosines; miles, mean radius of the Earth 3958.8."""
    a, b = math.radians(here["lat"]), math.radians(there["lat"])
    turn = math.radians(there["lon"] - here["lon"])
    return 3958.8 * math.acos(math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(turn))


def busiest_routes(flights: list[Row], top_routes: int) -> list[Row]:
    """The routes with most flights."""
    airports = {airport["faa"]: airport for airport in rows("airports")}
    table = []
    for (origin, dest), group in grouped(flights, "origin", "dest").items():
        there = airports.get(dest)
        flown = [flight for flight in group if flight["air_time"] is not None]
        minutes = sum(flight["air_time"] for flight in flown)
        row = {"origin": origin, "dest": dest, "to": there["name"] if there else dest} | counts(group)
        row["miles"] = rounded(great_circle_miles(airports[origin], there), 0) if there else None
        row["mph"] = rounded(60 * sum(flight["distance"] for flight in flown) / minutes, 0) if minutes else None
        table.append(row)
    return sorted(table, key=lambda row: (-row["flights"], row["origin"], row["dest"]))[:top_routes]


def catching_up(flights: list[Row]) -> list[Row]:
    """Minutes made up on the way, by flights that left late and by the others."""
    table = []
    for late, name in ((True, "late"), (False, "on time")):
        group = [flight for flight in flights if flight["late"] is late and flight["made_up"] is not None]
        table.append(
            {
                "left": name,
                "flights": len(group),
                "from_minutes": min(flight["dep_delay"] for flight in group),
                "to_minutes": max(flight["dep_delay"] for flight in group),
                "minutes_made_up": rounded(mean([flight["made_up"] for flight in group])),
                "made_up_any_percent": rounded(100 * sum(flight["made_up"] > 0 for flight in group) / len(group)),
                "miles": rounded(mean([flight["distance"] for flight in group]), 0),
            }
        )
    return table


def hours(flights: list[Row]) -> list[list[float]]:
    """One row per hour and airport in which something left: day, left, late and the four factors, as numbers."""
    left = [flight for flight in flights if flight["late"] is not None]
    table = []
    for group in grouped(left, "time_hour", "origin").values():
        first = group[0]
        if first["precip"] is None or first["visib"] is None or first["wind_speed"] is None:
            continue
        day = date(first["year"], first["month"], first["day"]).timetuple().tm_yday
        late = sum(flight["late"] for flight in group)
        held = (first["hour"] >= 18, first["precip"] > 0, first["visib"] < 3, first["wind_speed"] >= 20)
        table.append([float(value) for value in (day, len(group), late, *held)])
    return table


def bootstrap(table: list[list[float]], draws: int, seed: int) -> list[list[float]]:
    """Percentage points that each factor adds, a row per draw; NaN where a draw has no such hour."""
    days = sorted({row[0] for row in table})
    place = {day: index for index, day in enumerate(days)}
    late = np.zeros((len(FACTORS), 2, len(days)))  # factor, held or not, day
    left = np.zeros_like(late)
    for day, flights, behind, *held in table:
        for factor, holds in enumerate(held):
            left[factor, int(holds), place[day]] += flights
            late[factor, int(holds), place[day]] += behind
    dealt = np.random.default_rng(seed).multinomial(len(days), np.full(len(days), 1 / len(days)), size=draws)
    result = []
    for times in dealt:
        with np.errstate(invalid="ignore"):
            percent = 100 * (late * times).sum(axis=2) / (left * times).sum(axis=2)
        result.append((percent[:, 1] - percent[:, 0]).tolist())
    return result


def effects(draws: list[list[float]]) -> list[Row]:
    """The middle of the draws and the range of 95 % of them, for each factor."""
    table = []
    for factor, points in zip(FACTORS, np.array(draws).T, strict=True):
        low, middle, high = np.percentile(points[~np.isnan(points)], [2.5, 50, 97.5]).round(2)
        table.append({"factor": factor, "points": float(middle), "low": float(low), "high": float(high)})
    return table


def work_out(question: Question) -> dict[str, Any]:
    """Every table of the lesson, by the name of the node that makes it."""
    flights = delays(question)
    weathered = with_weather(flights)
    per_hour = hours(weathered)
    drawn = bootstrap(per_hour, question.draws, question.seed)
    return {
        "by_carrier": by_carrier(flights),
        "by_weather": by_weather(weathered),
        "by_hour": by_hour(weathered),
        "by_age": by_age(flights, question.bucket_years),
        "busiest_routes": busiest_routes(flights, question.top_routes),
        "catching_up": catching_up(flights),
        "hours": per_hour,
        "bootstrap": drawn,
        "effects": effects(drawn),
    }


def percent_late(table: list[Row]) -> str:
    """Share of late flights among those that left."""
    return f"{100 * sum(row['late'] for row in table) / left(table):.0f}%"


def percent_expected(table: list[Row]) -> str:
    """Share of late flights that the airlines let one expect."""
    return f"{sum(row['expected_percent'] * (row['flights'] - row['cancelled']) for row in table) / left(table):.0f}%"


def left(table: list[Row]) -> int:
    """How many flights left at all."""
    return sum(row["flights"] - row["cancelled"] for row in table)


def said(question: Question, tables: dict[str, Any]) -> list[list[str]]:
    """The figures and names of the answer, in the order in which each of its four paragraphs says them."""
    carriers, per_hour, ages = tables["by_carrier"], tables["by_hour"], tables["by_age"]
    route, (behind, on_time) = tables["busiest_routes"][0], tables["catching_up"]
    flights = sum(row["flights"] for row in carriers)
    large = [row for row in carriers if row["flights"] >= 0.01 * flights]
    dry = [row for row in per_hour if row["sky"] == "dry"]
    wet_morning = [row for row in per_hour if row["sky"] == "wet" and row["hour"] < 9]
    dry_evening = [row for row in dry if row["hour"] >= 18]
    old, young = [row for row in ages if row["age"] >= 20], [row for row in ages if row["age"] < 20]
    ranges = [[f"{row[name]:.0f}" for name in ("points", "low", "high")] for row in tables["effects"][:2]]
    dry_share = sum(row["late"] for row in dry) / sum(row["late"] for row in per_hour)
    return [
        [
            f"{calendar.month_name[question.month]} 2013" if question.month else "2013",
            f"{left(carriers):,} flights",
            percent_late(carriers),
            f"{question.min_minutes} minutes",
            percent_late(large[:1]),
            large[0]["name"].removesuffix(" Inc.").removesuffix(" Co."),
            percent_late(large[-1:]),
            large[-1]["name"].removesuffix(" Inc.").removesuffix(" Co."),
            f"{route['origin']} to {route['to']}",
            f"{route['flights']:,} flights",
            f"{route['late_percent']:.0f}%",
        ],
        [
            *ranges[0],
            *ranges[1],
            f"{percent_late(wet_morning)} of {left(wet_morning):,}",
            f"{percent_late(dry_evening)} of {left(dry_evening):,}",
            f"{100 * dry_share:.0f}%",
        ],
        [percent_late(old), percent_late(young), percent_expected(old), percent_expected(young)],
        [f"{behind['minutes_made_up']:.1f} minutes", f"{on_time['minutes_made_up']:.1f}"],
    ]


def main() -> None:
    """Print the figures of the answer."""
    parser = argparse.ArgumentParser(description="The figures of the flights lesson, without flowbook.")
    parser.add_argument("--month", type=int, default=Question.month)
    parser.add_argument("--min-minutes", type=int, default=Question.min_minutes)
    asked = parser.parse_args()
    question = Question(month=asked.month, min_minutes=asked.min_minutes)
    print(json.dumps(said(question, work_out(question)), indent=1, ensure_ascii=False))  # noqa: T201 - it is a script


if __name__ == "__main__":
    main()
