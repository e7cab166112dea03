"""What scoring hears of, in two stages: a unit's cases lie on all partitions, while its ledger is written by one hand.

The first decides per case (`facts`), the second runs per unit (`ledger`). The ladder listens to both (`measures`).
"""
