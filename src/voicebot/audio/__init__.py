"""Sound in and out: sources, sinks, devices, files, resampling."""
