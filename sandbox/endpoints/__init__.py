"""What each endpoint of the simulated API does, one module for each subject.

A function takes a `Call` and returns the fields of its answer, or raises `Refusal`. The table that names them all is
`sandbox.api.ENDPOINTS`.
"""
