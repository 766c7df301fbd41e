"""What happened, by the fixes of a page: at geofences, to orders, to drivers.

Pure, but for how what was left out is said (`left_out.LeftOutCounts`): that logs, by a clock.
"""
