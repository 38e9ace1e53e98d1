"""Which tokens the next step computes, and for whom."""
