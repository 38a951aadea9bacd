"""Ten methods against the usual metrics: which metrics can be trusted?"""
