"""The load generator: processes of its own, light enough to leave the cores to the servers.

::

    pictures, tensors ─ encoded ─▶ files of whole requests
                                         │
    Plan (JSON) ─▶ python -m load: closed_loop or open_loop ─▶ Tally ─▶ Measured (JSON) ─▶ Sample
                        │ http, grpc      │ health: another route meanwhile
                        ▼                 ▼
                      server            server

`python -m load` reads one `Plan` a line on standard input, follows it, and writes one `Reply` a line. Requests are
complete bytes in files, so that nothing is encoded while time is measured. `expected` tells answers of 200 that are not
what the route gives. `search` and `plot` stand on the samples.
"""
