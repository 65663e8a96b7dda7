"""`kserve-vision tune`: the `batching:` block that serves a model best on this machine.

::

    command ─▶ tuning: what to try next, and for how long
                 │ candidates: lanes x threads, then sizes, then delays
                 ▼
               stand: one predictor at a time ─▶ curve: clients, and what came of them ─▶ score: rows/s at the bound
                                                                                           │
               tables, report, plot, block, writing ◀─ verdict: who won, or the noise ◀────┘

What is to be tried, scored and decided are pure functions of what was measured.
"""
