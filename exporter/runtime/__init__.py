"""What knows only the process and its event loop: time, logs, signals, files, scheduling, errors.

Nothing here knows Azure, the configuration or the metrics.
"""
