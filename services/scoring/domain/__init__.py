"""The rules of scoring, without I/O: which facts cost points, the ledger that nobody can edit unseen, standings.

Amounts are decimals throughout, times UTC; days and months are those of Asia/Shanghai.
"""
