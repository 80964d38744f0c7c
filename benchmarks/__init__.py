"""What the product can do on this machine, measured beside a reference in the same run. See README.md here.

Nothing here is imported by the product. Every product process is a real one, started as an operator starts it.
"""
