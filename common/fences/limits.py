"""How large fences may be, and how many there may be. What is beyond is refused by name."""

# Fences of all. `deploy/schema/0004_geofences.sql` holds these two: a test keeps them together.
FENCES_MAX = 20_000
# Vertices of all fences, and pieces of corridors: each is some hundred bytes in every process that
# follows fences.
VERTICES_SUM_MAX = 2_000_000
# Vertices of one: a coast line in more detail tells nothing that a fix could.
VERTICES_MAX = 10_000
# Every country but one is smaller.
AREA_KM2_MAX = 10_000_000.0
RADIUS_M_MIN, RADIUS_M_MAX = 1.0, 100_000.0
WIDTH_M_MIN, WIDTH_M_MAX = 1.0, 20_000.0
# Length of a corridor's line: that makes some thousand pieces.
LENGTH_KM_MAX = 5_000.0
NAME_CHARS_MAX = 200
# Ids and prefixes of one fence.
DRIVERS_MAX = 1_000
DWELL_S_MIN, DWELL_S_MAX = 1.0, 7 * 86_400.0
# Windows of one schedule: each day of the week may have three.
WINDOWS_MAX = 21
