"""Which tokens the next step computes, and for whom.

| module | one idea |
|---|---|
| `scheduler` | the step rule: `computed` chases `total` |
| `fair_queue` | in which order prompts have their turn |
| `admission`, `leaders` | who is let in at its turn, and who waits for an equal prompt |
| `memory` | who holds blocks; preemption, and its bound |
| `requests` | limits, the sequences of a request, cancellation |
| `sequence`, `step` | the values that these change and make |
| `integrity` | what must hold between them |
"""
