"""`make cost`: what an order costs on AWS, by its outcome, and what the stack costs with no order at all.

`recording` runs every outcome of the saga on an embedded cloud that keeps a record of each billed call, and tallies
the record; `records.json` is the tally of the last run. `bill` prices a tally by the one table of `prices`.
"""
