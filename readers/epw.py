"""EnergyPlus weather (.epw): eight lines of facts, and a line for each hour of a year that is put together from months
of several years.

US Department of Energy, Auxiliary EnergyPlus Programs, "EnergyPlus Weather File (EPW) Data Dictionary": names, units,
and the numbers that stand for a missing value. An hour has the number of its end, 1 to 24.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from errors import DataError, many
from readers import register
from readers.base import Reader, TableText, csv_text

READS = {"endings": [".epw"]}
START = re.compile(rb"LOCATION,(?:[^,\r\n]*,){5}\s*-?[\d.]+\s*,\s*-?[\d.]+")  # five words, latitude and longitude
LAST = "DATA PERIODS"
TIMES = ("Year", "Month", "Day", "Hour")
FIRST = 6  # column of the first value: minute and the sources stand before it
FIELDS = {  # name: what stands for a missing value
    **{"dry_bulb_C": 99.9, "dew_point_C": 99.9, "relative_humidity_%": 999, "pressure_Pa": 999999},
    **{"extraterrestrial_horizontal_Wh/m2": 9999, "extraterrestrial_direct_Wh/m2": 9999},
    **{"horizontal_infrared_Wh/m2": 9999, "global_horizontal_Wh/m2": 9999, "direct_normal_Wh/m2": 9999},
    **{"diffuse_horizontal_Wh/m2": 9999, "global_illuminance_lx": 999900, "direct_illuminance_lx": 999900},
    **{"diffuse_illuminance_lx": 999900, "zenith_luminance_cd/m2": 9999, "wind_direction_deg": 999},
    **{"wind_speed_m/s": 999, "total_sky_cover": 99, "opaque_sky_cover": 99, "visibility_km": 9999},
    **{"ceiling_height_m": 99999, "weather_observation": None, "weather_codes": None, "precipitable_water_mm": 999},
    **{"aerosol_optical_depth": 0.999, "snow_depth_cm": 999, "days_since_snow": 99, "albedo": 999},
    **{"precipitation_mm": 999, "precipitation_hours": 99},
}
NO_NUMBERS = ("weather_observation", "weather_codes")


@register
class EpwReader(Reader):
    """The hours of an EPW file as a long table with names; columns without a value are left out where it is read."""

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """See `Reader.text`. DataError for a file that is not of the format."""
        rows = list(csv.reader(io.StringIO(file.read().decode("latin-1"))))
        at = next((number for number, row in enumerate(rows) if row and row[0].strip().upper() == LAST), None)
        if at is None:
            raise DataError("begins as EnergyPlus weather, and has no line DATA PERIODS", where=str(path))
        names = [name for name in FIELDS if name not in NO_NUMBERS]
        lines = [[*TIMES, *names]]
        for number, row in enumerate(rows[at + 1 :], at + 2):
            if not row:
                continue
            if len(row) < FIRST + 10:
                raise DataError(f"{many(len(row), 'field')} in a line of EnergyPlus weather", where=f"{path}:{number}")
            cells = dict(zip(FIELDS, row[FIRST:], strict=False))
            lines.append([*row[:4], *(_value(cells.get(name, ""), FIELDS[name]) for name in names)])
        place = ", ".join(filter(None, (cell.strip(" -") for cell in rows[0][1:4])))
        note = f"EnergyPlus weather of {place}: {many(at + 1, 'line')} above the hours left out"
        return TableText(csv_text(lines), (note,))


def _value(cell: str, missing: float | None) -> str:
    """A cell, "" where it stands for a missing value: the format says those from there on do."""
    try:
        return "" if missing is not None and float(cell) >= missing else cell.strip()
    except ValueError:
        return ""
