"""The load generator: a process of its own, light enough to leave the cores to the servers.

`python -m bench.load` reads one `Plan` a line (JSON) on standard input, follows it, and writes one `Measured` a line.
Requests are complete bytes in files, so that nothing is encoded while time is measured.
"""
