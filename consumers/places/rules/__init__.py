"""What happened, by the fixes of a page: at geofences, to orders, to drivers. No I/O."""
