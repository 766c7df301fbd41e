"""Files as people's tools write them: what is read of each, and what is refused with one line."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.errors import ConfigError
from deploy.tools.trace.read import ReadOptions, parse_trace, read_trace
from deploy.tools.trace.table import parse_columns
from deploy.tools.trace.trace import Trace

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
ROOT = '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">'
TIME = "<time>2024-02-28T14:13:50Z</time>"
POINT = f'<trkpt lat="27.5" lon="-15.5"><ele>66</ele>{TIME}</trkpt>'
FIX = {"driver_id": "my-ride", "latitude": 27.5, "longitude": -15.5, "altitude": 66.0}


def read(raw: bytes | str, name: str = "my ride", **options: str) -> Trace:
    data = raw.encode() if isinstance(raw, str) else raw
    return parse_trace(data, name, ReadOptions(**options))


def values(raw: bytes | str, **options: str) -> dict[str, object]:
    """The only fix of a file."""
    trace = read(raw, **options)
    (fix,) = trace.fixes
    assert trace.refused == trace.skipped == ()
    return dict(fix.values)


def gpx(points: str, root: str = ROOT, head: str = HEAD) -> str:
    return f"{head}{root}<trk><trkseg>\n{points}\n</trkseg></trk></gpx>"


def point(own: str = "", extensions: str = "") -> str:
    extra = f"<extensions>{extensions}</extensions>" if extensions else ""
    return gpx(f'<trkpt lat="27.5" lon="-15.5"><ele>66</ele>{TIME}{own}{extra}</trkpt>')


@pytest.mark.parametrize(
    "raw",
    [
        gpx(POINT),
        gpx(POINT, head=""),
        "\n\n" + gpx(POINT),
        b"\xef\xbb\xbf" + gpx(POINT).encode(),
        gpx(POINT).encode("utf-16"),
        gpx(POINT, root='<gpx version="1.0" creator="t">'),
        gpx(POINT.replace("27.5", "27,5")),
        gpx(f"<!-- é -->{POINT}").encode("cp1252"),
        gpx(f"<!-- é -->{POINT}", head='<?xml version="1.0" encoding="windows-1252"?>').encode(
            "cp1252"
        ),
        gpx(POINT).replace("<", "<g:").replace("<g:/", "</g:").replace("<g:?", "<?").replace(
            "xmlns=", "xmlns:g="
        ),
    ],
    ids=["plain", "no head", "blank lines", "BOM", "UTF-16", "1.0", "comma", "not UTF-8", "cp1252",
         "prefix"],
)  # fmt: skip
def test_gpx_in_every_dress(raw: bytes | str) -> None:
    """What broke: a blank line before <?xml was "not well-formed", and nothing was replayed."""
    assert values(raw) == FIX


@pytest.mark.parametrize(
    ("own", "extensions", "extra"),
    [
        ("", "<x:photo xmlns:x='u'><x:time>2019-01-01</x:time><x:ele>9999</x:ele></x:photo>", {}),
        ("", "<x:lat xmlns:x='u'>1</x:lat><x:lon xmlns:x='u'>1</x:lon>", {}),
        ("", "<d:ele xmlns:d='u'>41.5</d:ele>", {}),
        ("<speed>10</speed>", "<v:speed xmlns:v='u'>36</v:speed>", {"speed": 36.0}),
        ("<course>90</course>", "<r:course xmlns:r='u'>12</r:course>", {"heading": 90.0}),
        # What the point itself does not say, its extensions may.
        ("", "<o:speed xmlns:o='u'>1</o:speed>", {"speed": 3.6}),
        ("<speed> </speed>", "<o:speed xmlns:o='u'>1</o:speed>", {"speed": 3.6}),
        (
            "",
            "<g:Point xmlns:g='u'><g:speed>10</g:speed><g:course>90</g:course></g:Point>",
            {"speed": 36.0, "heading": 90.0},
        ),
        ("", "<o:heading xmlns:o='u'>12</o:heading>", {}),
    ],
)
def test_an_extension_never_replaces_what_the_point_says(
    own: str, extensions: str, extra: dict[str, float]
) -> None:
    """What broke: a photo's time in an extension became the time of its point, for all points."""
    assert values(point(own, extensions)) == {**FIX, **extra}
    trace = read(point(own, extensions))
    assert trace.fixes[0].recorded_at == datetime(2024, 2, 28, 14, 13, 50, tzinfo=UTC)


def test_an_extension_may_come_first() -> None:
    photo = "<extensions><x:time xmlns:x='u'>2019-01-01</x:time></extensions>"
    raw = gpx(f'<trkpt lat="27.5" lon="-15.5">{photo}<ele>66</ele>{TIME}</trkpt>')
    assert values(raw) == FIX
    assert read(raw).fixes[0].recorded_at.year == 2024


@pytest.mark.parametrize("unit", ["", "mps", "kmh", "knots", "mph"])
def test_speeds_have_the_unit_of_the_format_or_the_one_that_is_given(unit: str) -> None:
    expected = {"": 36.0, "mps": 36.0, "kmh": 10.0, "knots": 18.52, "mph": 16.09344}[unit]
    assert values(point("<speed>10</speed>"), speed_unit=unit)["speed"] == expected
    table = "driver_id,time,lat,lon,speed\na,2026-01-01,1,2,10\n"
    assert values(table, speed_unit=unit)["speed"] == (10.0 if unit == "" else expected)
    named = table.replace("speed", "speed_kmh")
    assert values(named, speed_unit=unit)["speed"] == 10.0


@pytest.mark.parametrize("missing", [6, 20, 40, 70, 100])
def test_a_truncated_gpx_gives_its_readable_points(missing: int) -> None:
    """What broke: "not well-formed: no element found", and nothing was replayed."""
    whole = gpx("\n".join([POINT] * 5))
    trace = read(whole[:-missing])
    assert len(trace.fixes) == (5 if missing < 30 else 4)
    (note,) = trace.notes
    assert note.startswith(f"cut short or damaged, read up to row {len(trace.fixes)}: ")


def test_several_segments_and_tracks_are_one_trace() -> None:
    raw = gpx(f"{POINT}</trkseg><trkseg>{POINT}</trkseg></trk><trk><trkseg>{POINT}")
    assert len(read(raw).fixes) == 3


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><gpx>&a;</gpx>', "GPX with a DOCTYPE is refused"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><gpx>&a;</gpx>'.encode("utf-16"), "DOCTYPE"),
        (b"<gpx>", "GPX is not well-formed"),
        (b"<kml><Point/></kml>", "XML, but not GPX: its root is <kml>"),
        (b"<html><p>404", "XML, but not GPX"),
        (b'{"a": 1}', "no export of a route"),
        (b"[1, 2]", "no export of a route"),
        (b'{"points": [', "JSON cannot be read"),
        (b'{"type":"Feature","geometry":{"type":"Polygon"},"properties":{"coordTimes":[]}}',
         "no line: 'Polygon'"),
        (b'{"type":"Feature","geometry":{"type":"LineString","coordinates":[]},"properties":{}}',
         "without coordTimes"),
        (b'{"type":"FeatureCollection","features":[7]}', "no geometry"),
        (b"driver_id,time,lat\n", "CSV: no column for longitude"),
        (b"PK\x03\x04\x1b[2J", "CSV: no column for recorded_at"),
    ],
)  # fmt: skip
def test_what_is_no_trace_is_refused_in_one_line(raw: bytes, why: str, tmp_path: Path) -> None:
    file = tmp_path / "file.gpx"
    file.write_bytes(raw)
    with pytest.raises(ConfigError, match=why.replace("[", r"\[")) as refused:
        read_trace(file)
    assert str(refused.value).startswith("file.gpx: ")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("raw", [b"", b"\n\n", gpx("").encode(), b"driver_id,time,lat,lon\n"])
def test_a_file_without_a_fix_says_so(raw: bytes, tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.write_bytes(raw)
    with pytest.raises(ConfigError, match=r"holds no fixes|no column"):
        read_trace(file)


TABLE = "driver_id,time,lat,lon\ne1,2024-01-01 10:00:00,52.5,13.4\n"


@pytest.mark.parametrize(
    "raw",
    [
        TABLE,
        "\n\n" + TABLE,
        TABLE.replace("\n", "\r\n") + "\r\n",
        TABLE.replace("\n", "\r"),
        TABLE.replace(",", ";").replace(".", ","),
        "sep=;\n" + TABLE.replace(",", ";"),
        ("sep=;\r\n" + TABLE.replace(",", ";")).encode("utf-16"),
        b"\xef\xbb\xbf" + TABLE.encode(),
        '"driver_id", "time", "lat", "lon"\n"e1", "2024-01-01 10:00:00", "52.5", "13.4"\n',
        TABLE.replace("lat,lon", "lat,lon,town") + "e1,2024-01-01 10:00:00,52.5,13.4,\xe9\n",
    ],
    ids=["plain", "blank", "CRLF", "CR", "German", "sep", "UTF-16", "BOM", "quoted", "cp1252"],
)
def test_csv_in_every_dress(raw: bytes | str) -> None:
    data = raw.encode("cp1252") if isinstance(raw, str) else raw
    trace = read(data)
    fix = {"driver_id": "e1", "latitude": 52.5, "longitude": 13.4}
    assert {tuple(found.values.items()) for found in trace.fixes} == {tuple(fix.items())}
    assert trace.refused == ()


def test_a_table_that_breaks_off_gives_its_rows() -> None:
    trace = read(TABLE + '"' + "x" * 200_000)
    assert len(trace.fixes) == 1
    assert "field larger than field limit" in trace.notes[0]


def test_a_logger_of_one_device_is_named_after_its_file_or_by_option() -> None:
    """What broke: "no column for driver_id", and there was none to name."""
    raw = "time,lat,lon,elevation\n2023-08-18T10:11:12.000Z,52.5,13.4,34.2\n"
    assert values(raw)["driver_id"] == "my-ride"
    assert values(raw, driver="van-7")["driver_id"] == "van-7"
    assert values(TABLE, driver="van-7")["driver_id"] == "van-7"
    assert values(point(), driver="van-7")["driver_id"] == "van-7"


def test_traccar_has_knots() -> None:
    raw = "id,deviceId,fixTime,latitude,longitude,speed\n1,7,2024-01-01T10:00:00Z,52.5,13.4,10.0\n"
    assert values(raw, speed_unit="knots")["speed"] == 18.52
    assert values(raw)["driver_id"] == "7"


def test_another_delimiter_and_a_map_of_columns() -> None:
    text = "X;Y;tracker;t\n116.39;39.89;19;2008-12-11 04:42:14+00\n"
    columns = "longitude=X,latitude=Y,driver_id=tracker,recorded_at=t"
    (fix,) = read(text, columns=columns).fixes
    assert fix.values == {"driver_id": "19", "latitude": 39.89, "longitude": 116.39}
    assert fix.recorded_at == datetime(2008, 12, 11, 4, 42, 14, tzinfo=UTC)


@pytest.mark.parametrize("columns", ["nonsense", "altitude", "speed=", "colour=X", "=X"])
def test_a_map_that_is_none_is_refused(columns: str) -> None:
    with pytest.raises(ConfigError, match="--columns"):
        parse_columns(columns)


def test_a_mapped_column_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="no column for speed"):
        read("driver_id,time,lat,lon\n", columns="speed=v")
