"""The score threshold of missing joints."""

#: Joints with a lower score are missing, as in mmaction2.
SCORE_THRESHOLD = 1e-4
